package metal

import (
	"net/netip"
	"time"
)

// A Zone is a DNS zone that metald is authoritative for because somebody declared it. The zones of subnets' domains
// and of their reverse names are there without.
type Zone struct {
	Name      string    `json:"name" doc:"Name of the zone without the trailing dot"`
	Spec      ZoneSpec  `json:"spec"`
	Serial    uint32    `json:"serial" doc:"Serial number of the zone's SOA record now"`
	CreatedAt time.Time `json:"created_at"`
	Revision  int64     `json:"revision"`
}

// ZoneSpec is what a person declares of a zone.
type ZoneSpec struct {
	TTL         int          `json:"ttl,omitempty" doc:"Seconds that others may remember records without a TTL of their own" default:"60" minimum:"0" maximum:"2147483647"`
	NegativeTTL int          `json:"negative_ttl,omitempty" doc:"Seconds that others may remember that something does not exist (RFC 2308)" default:"10" minimum:"0" maximum:"86400"`
	NameServers []string     `json:"name_servers,omitempty" doc:"Names of the zone's other servers, secondaries; metald itself is always one"`
	Mailbox     string       `json:"mailbox,omitempty" doc:"Mail address of who is responsible; absent: hostmaster of the zone"`
	Transfer    TransferSpec `json:"transfer,omitzero" doc:"Who may copy the zone; absent: nobody"`
	Update      UpdateSpec   `json:"update,omitzero" doc:"Who may change records by DNS UPDATE (RFC 2136); absent: nobody"`
}

// TransferSpec says who may copy a zone by AXFR and IXFR (RFC 5936, RFC 1995). Where keys are named, a request must be
// signed with one of them; where networks are, it must come from one of them.
type TransferSpec struct {
	Networks []netip.Prefix `json:"networks,omitempty" doc:"Networks that may"`
	Keys     []string       `json:"keys,omitempty" doc:"TSIG keys that must sign the request"`
	Notify   []string       `json:"notify,omitempty" doc:"Servers that are told of each change, as address or address:port (RFC 1996)"`
}

// UpdateSpec says who may change records. There is no way without a key.
type UpdateSpec struct {
	Keys []string `json:"keys,omitempty" doc:"TSIG keys, one of which must sign the request"`
}

// A RecordSet is every record of one name and type in a zone.
type RecordSet struct {
	Zone      string        `json:"zone"`
	Name      string        `json:"name" doc:"Name within the zone; @ is the zone itself"`
	Type      string        `json:"type"`
	Spec      RecordSetSpec `json:"spec"`
	FQDN      string        `json:"fqdn"`
	CreatedAt time.Time     `json:"created_at"`
	Revision  int64         `json:"revision"`
}

// RecordSetSpec is what a person declares of a record set.
type RecordSetSpec struct {
	TTL    int      `json:"ttl,omitempty" doc:"Seconds that others may remember it; absent: the zone's" minimum:"0" maximum:"2147483647"`
	Values []string `json:"values" doc:"Values as in a zone file" minItems:"1" maxItems:"1000"`
}

// RecordTypes are the types that record sets may have.
var RecordTypes = [...]string{"A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SRV", "SSHFP", "TXT"}

// A DNSKey is a TSIG key (RFC 8945) that transfers and updates are signed with. Its secret is written apart, kept
// sealed and never read back.
type DNSKey struct {
	Name      string    `json:"name" doc:"Name of the key, as both sides write it"`
	Algorithm string    `json:"algorithm" doc:"HMAC" enum:"hmac-sha256,hmac-sha384,hmac-sha512"`
	CreatedAt time.Time `json:"created_at"`
	Revision  int64     `json:"revision"`
}
