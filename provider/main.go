// Command terraform-provider-metal is the Terraform provider of Metalform: schemas on one side, calls of metald's API
// on the other, and no rules of its own. What may happen to a machine is decided by the server.
package main

import (
	"context"
	"flag"
	"log"
	"runtime/debug"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
)

// address is where the provider lives in a registry.
const address = "registry.terraform.io/metalform/metal"

func main() {
	attach := flag.Bool("debug", false, "run until stopped, for a debugger, and print how Terraform reaches it")
	flag.Parse()
	err := providerserver.Serve(context.Background(), newProvider(version()), providerserver.ServeOpts{
		Address: address, Debug: *attach, ProtocolVersion: 6,
	})
	if err != nil {
		log.Fatal(err)
	}
}

// version is the release that the Go toolchain found in version control when it built this program.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
