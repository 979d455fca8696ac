package api

import "github.com/metalform/terraform-provider-metal/internal/metal"

// ByZone names a DNS zone.
type ByZone struct {
	Zone string `path:"zone" maxLength:"253" doc:"Name of the zone, without the trailing dot"`
}

// ByRecordSet names a record set.
type ByRecordSet struct {
	ByZone
	Name string `path:"name" maxLength:"253" doc:"Name within the zone; @ is the zone itself"`
	Type string `path:"type" enum:"A,AAAA,CAA,CNAME,MX,NS,PTR,SRV,SSHFP,TXT" doc:"Type of the records"`
}

// PutZoneRequest makes or changes a zone.
type PutZoneRequest struct {
	ByZone
	Precondition
	Body metal.ZoneSpec
}

// DeleteZoneRequest deletes a zone that has no record sets.
type DeleteZoneRequest struct {
	ByZone
	Precondition
}

// ListRecordSetsRequest lists the record sets of a zone; or reads the given ones in one call.
type ListRecordSetsRequest struct {
	Page
	Zone string   `query:"zone" doc:"Only this zone's"`
	Keys []string `query:"keys" doc:"Only these, as zone/name/type, separated by commas; unknown ones are left out"`
}

// PutRecordSetRequest makes or replaces one record set. No other one is touched. A CNAME beside other records of its
// name, or a name that a machine, device or lease has, is a conflict.
type PutRecordSetRequest struct {
	ByRecordSet
	Precondition
	Body metal.RecordSetSpec
}

// DeleteRecordSetRequest deletes one record set.
type DeleteRecordSetRequest struct {
	ByRecordSet
	Precondition
}

// DNSKeyBody is what is written of a TSIG key.
type DNSKeyBody struct {
	Algorithm string `json:"algorithm,omitempty" enum:"hmac-sha256,hmac-sha384,hmac-sha512" default:"hmac-sha256"`
	// Secret may be absent in an update: the stored one stays.
	Secret *string `json:"secret,omitempty" writeOnly:"true" maxLength:"1024" doc:"Shared secret in base64; kept sealed and never read back. Absent in an update: the stored one stays"`
}

// PutDNSKeyRequest makes or changes a TSIG key.
type PutDNSKeyRequest struct {
	ByName
	Precondition
	Body DNSKeyBody
}

const dns = "dns"

// Endpoints of DNS.
var (
	ListZones  = Endpoint[ListByNamesRequest, List[metal.Zone]]{"ListZones", "GET", "/v1/dns/zones", 200, "List declared zones", dns}
	GetZone    = Endpoint[ByZone, metal.Zone]{"GetZone", "GET", "/v1/dns/zones/{zone}", 200, "Read a zone", dns}
	PutZone    = Endpoint[PutZoneRequest, metal.Zone]{"PutZone", "PUT", "/v1/dns/zones/{zone}", 200, "Make or change a zone", dns}
	DeleteZone = Endpoint[DeleteZoneRequest, None]{"DeleteZone", "DELETE", "/v1/dns/zones/{zone}", 204, "Delete a zone without record sets", dns}

	ListRecordSets  = Endpoint[ListRecordSetsRequest, List[metal.RecordSet]]{"ListRecordSets", "GET", "/v1/dns/record-sets", 200, "List record sets", dns}
	GetRecordSet    = Endpoint[ByRecordSet, metal.RecordSet]{"GetRecordSet", "GET", "/v1/dns/zones/{zone}/records/{name}/{type}", 200, "Read a record set", dns}
	PutRecordSet    = Endpoint[PutRecordSetRequest, metal.RecordSet]{"PutRecordSet", "PUT", "/v1/dns/zones/{zone}/records/{name}/{type}", 200, "Make or replace a record set", dns}
	DeleteRecordSet = Endpoint[DeleteRecordSetRequest, None]{"DeleteRecordSet", "DELETE", "/v1/dns/zones/{zone}/records/{name}/{type}", 204, "Delete a record set", dns}

	ListDNSKeys  = Endpoint[ListByNamesRequest, List[metal.DNSKey]]{"ListDNSKeys", "GET", "/v1/dns/keys", 200, "List TSIG keys", dns}
	GetDNSKey    = Endpoint[ByName, metal.DNSKey]{"GetDNSKey", "GET", "/v1/dns/keys/{name}", 200, "Read a TSIG key, without its secret", dns}
	PutDNSKey    = Endpoint[PutDNSKeyRequest, metal.DNSKey]{"PutDNSKey", "PUT", "/v1/dns/keys/{name}", 200, "Make or change a TSIG key", dns}
	DeleteDNSKey = Endpoint[DeleteByNameRequest, None]{"DeleteDNSKey", "DELETE", "/v1/dns/keys/{name}", 204, "Delete a TSIG key that no zone names", dns}
)
