package e2e_test

import (
	"os"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/lab"
)

// TestASystemRunsFromMemory runs a Debian from memory, looks that the disk was not touched, and restarts it from inside:
// it comes back without what it wrote.
func TestASystemRunsFromMemory(t *testing.T) {
	if os.Getenv("METAL_NIGHTLY") == "" {
		t.Skip("starts a whole Debian, which takes minutes: METAL_NIGHTLY=1 runs it, and so does make nightly")
	}
	g, m := raiseRoot(t, lab.Config{Firmware: metal.UEFI, BMC: lab.Redfish, MemoryMiB: 3072, CPUs: 2})
	body := g.spec(t, "root", metal.BootMemory, "")
	// A script that fails: the system is up all the same, and the operation warns.
	broken := "#!/bin/sh\necho what the script said\nexit 3\n"
	body.UserData = &broken
	d, err := g.Client.CreateDeployment(t.Context(), api.CreateDeploymentRequest{Body: api.CreateDeploymentBody{MachineID: m.ID, DeploymentBody: body}})
	if err != nil {
		t.Fatal(err)
	}
	g.endedIn(t, d.OperationID, installing)
	op, err := g.Client.GetOperation(t.Context(), api.GetOperationRequest{ByID: api.ByID{ID: d.OperationID}})
	if err != nil {
		t.Fatal(err)
	}
	if said := strings.Join(op.Warnings, "\n"); !strings.Contains(said, "cloud-init ended with errors") || !strings.Contains(said, "what the script said") {
		t.Errorf("warnings: got %q; want cloud-init's error and what the script said", said)
	}
	look := func() {
		t.Helper()
		d = g.deployed(t, d)
		for command, want := range map[string]string{
			"hostname": "n1", "findmnt -rno TARGET,FSTYPE /": "/ rootfs", "sudo blkid -p -o value -s PTTYPE /dev/vda": "", "test -e /home/debian/mark && echo there": "",
			"cat /proc/1/comm": "systemd", "test -e /sysroot && echo there": "", "ls /lib/modules | grep -cx $(uname -r)": "1",
		} {
			if got := g.login(t, d, "{ "+command+"; } || true"); got != want && !(strings.HasSuffix(want, "rootfs") && got == "/ tmpfs") {
				t.Errorf("%s: got %q; want %q", command, got, want)
			}
		}
	}
	look()
	g.login(t, d, "touch /home/debian/mark; sudo systemd-run --on-active=2 systemctl reboot --force >/dev/null 2>&1")
	first := d.OperationID
	eventually(t, "the machine starts again, and its system is put there anew", func() bool {
		now, err := g.Client.GetDeployment(t.Context(), api.GetDeploymentRequest{ByID: api.ByID{ID: d.ID}})
		if err != nil {
			t.Fatal(err)
		}
		d = now
		return d.OperationID != first
	})
	g.endedIn(t, d.OperationID, installing)
	look()
}
