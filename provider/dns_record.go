package main

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/miekg/dns"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

type recordModel struct {
	ID     types.String `tfsdk:"id"`
	Zone   types.String `tfsdk:"zone"`
	Name   types.String `tfsdk:"name"`
	Type   types.String `tfsdk:"type"`
	TTL    types.Int64  `tfsdk:"ttl"`
	Values types.Set    `tfsdk:"values"`
	FQDN   types.String `tfsdk:"fqdn"`
}

func (m *recordModel) key() types.String { return m.ID }

func (m *recordModel) set(_ context.Context, r metal.RecordSet) diag.Diagnostics {
	m.ID = types.StringValue(recordKey(r))
	m.Zone, m.Name, m.Type = types.StringValue(r.Zone), types.StringValue(r.Name), types.StringValue(r.Type)
	m.TTL, m.FQDN = newInt(m.TTL, int64(r.Spec.TTL)), types.StringValue(r.FQDN)
	if prior := stringsOf(m.Values); !sameRecords(r.Zone, r.Type, prior, r.Spec.Values) {
		m.Values = types.SetValueMust(types.StringType, elements(r.Spec.Values, stringElement))
	}
	return nil
}

func recordKey(r metal.RecordSet) string { return r.Zone + "/" + r.Name + "/" + r.Type }

// sameRecords says whether two sets of values are the same records: the server writes names in full and in one case.
func sameRecords(zone, kind string, a, b []string) bool {
	return len(a) > 0 && slices.Equal(canonicalRecords(zone, kind, a), canonicalRecords(zone, kind, b))
}

func canonicalRecords(zone, kind string, values []string) []string {
	out := make([]string, 0, len(values))
	for _, value := range values {
		text := value
		parser := dns.NewZoneParser(strings.NewReader("@ 1 IN "+kind+" "+value+"\n"), zone+".", "")
		if rr, ok := parser.Next(); ok {
			text = rr.String()
			if kind != "TXT" && kind != "CAA" {
				text = strings.ToLower(text)
			}
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func recordByKey(key string) (api.ByRecordSet, error) {
	parts := strings.Split(key, "/")
	if len(parts) < 3 { // the name of a zone may have slashes (RFC 2317)
		return api.ByRecordSet{}, metal.Errorf(metal.Invalid, "%q is not the id of a record set: write zone/name/type, as in example.net/www/A", key)
	}
	last := len(parts) - 1
	return api.ByRecordSet{ByZone: api.ByZone{Zone: strings.Join(parts[:last-1], "/")}, Name: parts[last-1], Type: parts[last]}, nil
}

func recordSchema() schema.Schema {
	replaces := []planmodifier.String{stringplanmodifier.RequiresReplace()}
	return schema.Schema{
		MarkdownDescription: "A record set: every record of one name and type in a zone. No record set ever changes or deletes another. " +
			"The addresses of machines, devices and reservations are in DNS without; a record set of the same name and type is refused.",
		Attributes: map[string]schema.Attribute{
			"id":   idAttribute("Zone, name and type, as in `example.net/www/A`."),
			"zone": zoneName("Zone it is in, which must be declared."),
			"name": schema.StringAttribute{
				Required: true, MarkdownDescription: "Name within the zone, as in `www` or `*.apps`; `@` is the zone itself. Another name replaces it.", PlanModifiers: replaces,
				Validators: []validator.String{stringvalidator.RegexMatches(regexp.MustCompile(`^(@|(\*\.)?[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?|\*)$`),
					"must be a name in lower case within the zone, without a dot at the end")},
			},
			"type": schema.StringAttribute{
				Required: true, MarkdownDescription: "Type of the records: `" + strings.Join(metal.RecordTypes[:], "`, `") + "`. Another type replaces it.", PlanModifiers: replaces,
				Validators: []validator.String{stringvalidator.OneOf(metal.RecordTypes[:]...)},
			},
			"ttl": schema.Int64Attribute{
				Optional: true, MarkdownDescription: "How long others may remember it, in seconds. Default: the zone's.",
				Validators: []validator.Int64{int64validator.Between(0, 2147483647)},
			},
			"values": schema.SetAttribute{
				Required: true, ElementType: types.StringType,
				MarkdownDescription: "Values as in a zone file: names without a dot at the end are within the zone; text is in double quotes.",
				Validators:          []validator.Set{setvalidator.SizeBetween(1, 1000)},
			},
			"fqdn": schema.StringAttribute{
				Computed: true, MarkdownDescription: "The name in full.",
				PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
			},
		},
	}
}

// records are record sets.
func records() *kind[metal.RecordSet, recordModel, *recordModel] {
	return &kind[metal.RecordSet, recordModel, *recordModel]{
		name: "dns_record", plural: "dns_records", words: "DNS record set", schema: recordSchema,
		put: func(ctx context.Context, c *client.Client, m *recordModel, _ tfsdk.Config) (metal.RecordSet, diag.Diagnostics, error) {
			r, err := c.PutRecordSet(ctx, api.PutRecordSetRequest{ByRecordSet: m.by(), Body: metal.RecordSetSpec{TTL: int(m.TTL.ValueInt64()), Values: sorted(m.Values)}})
			return r, nil, err
		},
		get: func(ctx context.Context, r *readers, id string) (metal.RecordSet, error) {
			return r.records.get(ctx, id)
		},
		remove: func(ctx context.Context, c *client.Client, id string) error {
			by, err := recordByKey(id)
			if err != nil {
				return err
			}
			return c.DeleteRecordSet(ctx, api.DeleteRecordSetRequest{ByRecordSet: by})
		},
		list: func(ctx context.Context, c *client.Client, after string) ([]metal.RecordSet, string, error) {
			l, err := c.ListRecordSets(ctx, api.ListRecordSetsRequest{Page: api.Page{After: after}})
			return l.Items, l.Next, err
		},
		find: func(ctx context.Context, c *client.Client, m *recordModel) (metal.RecordSet, error) {
			return c.GetRecordSet(ctx, m.by())
		},
		by: []string{"zone", "name", "type"},
		filters: map[string]func(metal.RecordSet) string{
			"zone": func(r metal.RecordSet) string { return r.Zone },
			"type": func(r metal.RecordSet) string { return r.Type },
		},
	}
}

func (m *recordModel) by() api.ByRecordSet {
	return api.ByRecordSet{ByZone: api.ByZone{Zone: m.Zone.ValueString()}, Name: m.Name.ValueString(), Type: m.Type.ValueString()}
}
