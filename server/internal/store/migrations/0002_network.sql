-- +goose Up
CREATE TABLE fabric (
  name     TEXT PRIMARY KEY,
  revision INTEGER NOT NULL,
  doc      TEXT NOT NULL
) STRICT;

CREATE TABLE space (
  name     TEXT PRIMARY KEY,
  revision INTEGER NOT NULL,
  doc      TEXT NOT NULL
) STRICT;

CREATE TABLE vlan (
  name     TEXT PRIMARY KEY,
  fabric   TEXT NOT NULL REFERENCES fabric (name),
  vid      INTEGER NOT NULL,
  space    TEXT REFERENCES space (name),
  revision INTEGER NOT NULL,
  doc      TEXT NOT NULL,
  UNIQUE (fabric, vid)
) STRICT;

-- Fabrics and VLANs that subnets named before either could be declared. An untagged VLAN needs no row.
INSERT INTO fabric (name, revision, doc)
  SELECT name, 1, json_object('name', name, 'spec', json_object(), 'created_at', strftime('%Y-%m-%dT%H:%M:%SZ', 'now'), 'revision', 1)
  FROM (SELECT 'default' AS name UNION SELECT coalesce(nullif(doc ->> '$.spec.fabric', ''), 'default') FROM subnet);
INSERT INTO vlan (name, fabric, vid, revision, doc)
  SELECT fabric || '-' || vid, fabric, vid, 1, json_object('name', fabric || '-' || vid, 'spec', json_object('fabric', fabric, 'vid', vid, 'mtu', 1500),
    'created_at', strftime('%Y-%m-%dT%H:%M:%SZ', 'now'), 'revision', 1)
  FROM (SELECT DISTINCT coalesce(nullif(doc ->> '$.spec.fabric', ''), 'default') AS fabric, doc ->> '$.spec.vlan' AS vid FROM subnet)
  WHERE vid > 0;

-- Whether DHCP is served became how.
UPDATE subnet SET doc = json_remove(json_set(doc, '$.spec.dhcp.mode', CASE WHEN doc ->> '$.spec.dhcp.enabled' THEN 'authoritative' ELSE 'off' END), '$.spec.dhcp.enabled');

CREATE TABLE ip_range (
  name     TEXT PRIMARY KEY,
  subnet   TEXT NOT NULL REFERENCES subnet (name),
  revision INTEGER NOT NULL,
  doc      TEXT NOT NULL
) STRICT;
CREATE INDEX ip_range_subnet ON ip_range (subnet);

CREATE TABLE static_route (
  name     TEXT PRIMARY KEY,
  subnet   TEXT NOT NULL REFERENCES subnet (name),
  revision INTEGER NOT NULL,
  doc      TEXT NOT NULL
) STRICT;
CREATE INDEX static_route_subnet ON static_route (subnet);

CREATE TABLE reservation (
  name     TEXT PRIMARY KEY,
  subnet   TEXT NOT NULL REFERENCES subnet (name),
  revision INTEGER NOT NULL,
  doc      TEXT NOT NULL
) STRICT;
CREATE INDEX reservation_subnet ON reservation (subnet);

CREATE TABLE device (
  name     TEXT PRIMARY KEY,
  revision INTEGER NOT NULL,
  doc      TEXT NOT NULL
) STRICT;

CREATE TABLE device_mac (
  mac    TEXT PRIMARY KEY,
  device TEXT NOT NULL REFERENCES device (name) ON DELETE CASCADE
) STRICT;
CREATE INDEX device_mac_device ON device_mac (device);

-- Every address that belongs to somebody, whoever it is: no two can have the same one.
CREATE TABLE address (
  subnet      TEXT NOT NULL REFERENCES subnet (name),
  addr        BLOB NOT NULL,
  machine_id  TEXT REFERENCES machine (id) ON DELETE CASCADE,
  device      TEXT REFERENCES device (name) ON DELETE CASCADE,
  reservation TEXT REFERENCES reservation (name) ON DELETE CASCADE,
  mac         TEXT NOT NULL,
  duid        TEXT NOT NULL,
  PRIMARY KEY (subnet, addr),
  UNIQUE (subnet, machine_id),
  CHECK ((machine_id IS NOT NULL) + (device IS NOT NULL) + (reservation IS NOT NULL) = 1)
) STRICT;
CREATE INDEX address_machine ON address (machine_id);
CREATE INDEX address_device ON address (device);
CREATE UNIQUE INDEX address_reservation ON address (reservation) WHERE reservation IS NOT NULL;
CREATE INDEX address_mac ON address (subnet, mac);
INSERT INTO address (subnet, addr, machine_id, mac, duid) SELECT subnet, addr, machine_id, mac, '' FROM assignment;
DROP TABLE assignment;

-- Addresses that were seen in use. Whoever they belong to is looked up when they are shown.
CREATE TABLE sighting (
  subnet  TEXT NOT NULL REFERENCES subnet (name) ON DELETE CASCADE,
  addr    BLOB NOT NULL,
  mac     TEXT NOT NULL,
  seen_at INTEGER NOT NULL,
  PRIMARY KEY (subnet, addr)
) STRICT;
CREATE INDEX sighting_seen ON sighting (seen_at);

CREATE TABLE zone (
  name     TEXT PRIMARY KEY,
  revision INTEGER NOT NULL,
  doc      TEXT NOT NULL
) STRICT;

CREATE TABLE record_set (
  zone     TEXT NOT NULL REFERENCES zone (name),
  name     TEXT NOT NULL,
  type     TEXT NOT NULL,
  revision INTEGER NOT NULL,
  doc      TEXT NOT NULL,
  PRIMARY KEY (zone, name, type)
) STRICT;

CREATE TABLE dns_key (
  name     TEXT PRIMARY KEY,
  revision INTEGER NOT NULL,
  doc      TEXT NOT NULL,
  secret   BLOB NOT NULL
) STRICT;

-- +goose Down
SELECT 1;
