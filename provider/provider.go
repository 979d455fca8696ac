package main

import (
	"context"
	"os"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

var _ provider.Provider = (*metalProvider)(nil)

// newProvider returns a constructor of the provider in the given release.
func newProvider(version string) func() provider.Provider {
	return func() provider.Provider { return &metalProvider{version: version} }
}

type metalProvider struct{ version string }

type providerModel struct {
	URL      types.String `tfsdk:"url"`
	Token    types.String `tfsdk:"token"`
	CAPEM    types.String `tfsdk:"ca_pem"`
	CAFile   types.String `tfsdk:"ca_file"`
	Insecure types.Bool   `tfsdk:"insecure"`
}

// Metadata names the provider.
func (p *metalProvider) Metadata(_ context.Context, _ provider.MetadataRequest, resp *provider.MetadataResponse) {
	resp.TypeName = "metal"
	resp.Version = p.version
}

// Schema is the provider's own configuration.
func (p *metalProvider) Schema(_ context.Context, _ provider.SchemaRequest, resp *provider.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Metalform provisions bare metal: machines, networks, operating systems. The provider talks to one `metald` server.",
		Attributes: map[string]schema.Attribute{
			"url": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Address of the server, as in `https://metal.example.net:7443`. Default: the environment variable `METAL_URL`, or else the last `metalctl login`.",
			},
			"token": schema.StringAttribute{
				Optional: true, Sensitive: true,
				MarkdownDescription: "Bearer token of the API. Default: the environment variable `METAL_TOKEN`, or else the last `metalctl login`.",
			},
			"ca_pem": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Certificates in PEM form that sign the server's certificate. Default: those of `ca_file`, or else the system's.",
				Validators:          []validator.String{stringvalidator.ConflictsWith(path.MatchRoot("ca_file"))},
			},
			"ca_file": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "File with certificates in PEM form that sign the server's certificate. Default: the environment variable `METAL_CA_FILE`, or else the system's certificates.",
			},
			"insecure": schema.BoolAttribute{
				Optional:            true,
				MarkdownDescription: "Accept any certificate of the server. Only for tests: whoever is on the way can read the token. Default: the environment variable `METAL_INSECURE`, or else `false`.",
			},
		},
	}
}

// Configure connects to the server. It makes no call, so that a plan without this provider's resources needs no server.
func (p *metalProvider) Configure(ctx context.Context, req provider.ConfigureRequest, resp *provider.ConfigureResponse) {
	var m providerModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	m.requireKnown(&resp.Diagnostics)
	cfg := m.config(&resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	cfg.UserAgent = "terraform-provider-metal/" + p.version + " terraform/" + req.TerraformVersion
	c, err := client.New(cfg)
	if err != nil {
		report(&resp.Diagnostics, "connect to the server", err)
		return
	}
	conn := &connection{api: c, read: newReaders(c)}
	resp.ResourceData, resp.DataSourceData = conn, conn
}

// requireKnown points at every argument that waits for another resource: a provider must be configured to plan.
func (m *providerModel) requireKnown(diags *diag.Diagnostics) {
	for name, value := range map[string]interface{ IsUnknown() bool }{
		"url": m.URL, "token": m.Token, "ca_pem": m.CAPEM, "ca_file": m.CAFile, "insecure": m.Insecure,
	} {
		if value.IsUnknown() {
			diags.AddAttributeError(path.Root(name), "The provider's "+name+" is not known yet",
				"It depends on a resource that is not applied. Apply that one first (terraform apply -target=...), or set the value directly.")
		}
	}
}

// config merges the arguments with the environment and the stored login; arguments win.
func (m *providerModel) config(diags *diag.Diagnostics) client.Config {
	explicit := client.Config{
		URL: m.URL.ValueString(), Token: metal.NewSecret(m.Token.ValueString()),
		CA: []byte(m.CAPEM.ValueString()), Insecure: m.Insecure.ValueBool(),
	}
	if file := m.CAFile.ValueString(); file != "" {
		ca, err := os.ReadFile(file)
		if err != nil {
			diags.AddAttributeError(path.Root("ca_file"), "Cannot read the server's certificate authority", err.Error())
		}
		explicit.CA = ca
	}
	cfg, err := client.Resolve(explicit)
	if err != nil {
		report(diags, "find out which server to call", err)
		return cfg
	}
	if cfg.URL == "" {
		diags.AddAttributeError(path.Root("url"), "No server", "Set url in the provider block, or the environment variable METAL_URL, to the address of metald, as in https://metal.example.net:7443. `metalctl login` stores it.")
	}
	if cfg.Token.Empty() {
		diags.AddAttributeError(path.Root("token"), "No token", "Set token in the provider block, or the environment variable METAL_TOKEN. `metalctl login` stores it.")
	}
	return cfg
}

// Resources lists what can be managed.
func (p *metalProvider) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{
		pools().resource, subnets().resource, newImageResource, bootProfiles().resource, sshKeys().resource,
		fabrics().resource, spaces().resource, vlans().resource, ranges().resource, reservations().resource, routes().resource,
		devices().resource, zones().resource, records().resource, dnsKeys().resource,
		newMachineResource, newAllocationResource, newDeploymentResource,
	}
}

// DataSources lists what can be read.
func (p *metalProvider) DataSources(context.Context) []func() datasource.DataSource {
	return []func() datasource.DataSource{
		newPoolDataSource, newPoolsDataSource, newSubnetDataSource, newSubnetsDataSource,
		newImageDataSource, newImagesDataSource, sshKeys().dataSource,
		newMachineDataSource, newMachinesDataSource, newMachineInventoryDataSource,
		fabrics().dataSource, fabrics().dataSources, spaces().dataSource, spaces().dataSources, vlans().dataSource, vlans().dataSources,
		ranges().dataSource, ranges().dataSources, reservations().dataSource, reservations().dataSources,
		routes().dataSource, routes().dataSources, devices().dataSource, devices().dataSources,
		zones().dataSource, zones().dataSources, records().dataSource, records().dataSources, newLeasesDataSource, newEraseCertificatesDataSource, newEraseCertificateDataSource, newAddressesDataSource,
		newAllocationDataSource, newAllocationPreviewDataSource, newDeploymentDataSource,
	}
}
