-- +goose Up
CREATE TABLE boot_profile (
  name     TEXT PRIMARY KEY,
  revision INTEGER NOT NULL,
  doc      TEXT NOT NULL
) STRICT;

-- What a profile was at each version, with its secret variables sealed: a JSON object of name to value.
CREATE TABLE boot_profile_version (
  name    TEXT NOT NULL REFERENCES boot_profile (name) ON DELETE CASCADE,
  version INTEGER NOT NULL,
  doc     TEXT NOT NULL,
  secrets BLOB NOT NULL,
  PRIMARY KEY (name, version)
) STRICT;

-- One row a machine that was told to boot an installer. The token, sealed, is in the URLs that it was told. A profile
-- may go when its installations are over: they still say that the machine boots its own disk.
CREATE TABLE installation (
  mac     TEXT PRIMARY KEY,
  profile TEXT NOT NULL,
  version INTEGER NOT NULL,
  state   TEXT NOT NULL,
  doc     TEXT NOT NULL,
  token   BLOB NOT NULL
) STRICT;
CREATE INDEX installation_profile ON installation (profile, state);

-- +goose Down
SELECT 1;
