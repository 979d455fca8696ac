package daemon

import (
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/lease"
)

// leaseFiles reads the lease files of other servers for the fleet.
type leaseFiles struct{}

// Import is fleet.Leases's. Kea writes one file for each family, whose first line tells which.
func (leaseFiles) Import(format, text string) ([]metal.Lease, []string, error) {
	if format == "kea" {
		format = "kea4"
		if head, _, _ := strings.Cut(text, "\n"); strings.Contains(head, "duid") {
			format = "kea6"
		}
	}
	return lease.Import(format, text)
}
