package boot

import (
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestAnInstallerIsStartedAsItsProfileSays(t *testing.T) {
	const at = testBase + "/boot/install/m/t"
	for name, c := range map[string]struct {
		installer Installer
		mode      metal.BootMode
		want      string
	}{
		"Linux on UEFI, whose stub asks for the initrds by name": {
			Installer{Initrds: []Initrd{{"initrd0", true}, {"initrd1", true}}, CommandLine: "a b"}, metal.UEFI,
			"kernel " + at + "/boot/kernel initrd=initrd0 initrd=initrd1 a b && initrd --name initrd0 " + at + "/boot/0 && initrd --name initrd1 " + at + "/boot/1 && boot ||\n",
		},
		"Linux on BIOS": {
			Installer{Initrds: []Initrd{{"initrd0", true}}}, metal.BIOS,
			"kernel " + at + "/boot/kernel && initrd --name initrd0 " + at + "/boot/0 && boot ||\n",
		},
		"wimboot, with an answer file beside the image": {
			Installer{Initrds: []Initrd{{"boot.wim", false}}, Loaded: []string{"unattend.xml"}}, metal.UEFI,
			"kernel " + at + "/boot/kernel && initrd --name boot.wim " + at + "/boot/0 && initrd --name unattend.xml " + at + "/files/unattend.xml && boot ||\n",
		},
		"an ISO image": {Installer{ISO: true}, metal.BIOS, "sanboot --no-describe " + at + "/boot/iso ||\n"},
		"words that would be commands of the script": {
			Installer{CommandLine: "a || shell ${x} ; b"}, metal.BIOS, "kernel " + at + "/boot/kernel a shell b && boot ||\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.installer.Path = "/boot/install/m/t"
			plan := PlanFor(Facts{Installer: &c.installer})
			got := plan.Script(testBase, "52:54:00:00:00:01", c.mode, "")
			if !strings.Contains(got, "\nimgfree\n"+c.want) {
				t.Errorf("got\n%s\nwant in it\n%s", got, c.want)
			}
		})
	}
}

func TestWhatGoesBeforeAnInstallerAndWhatAfter(t *testing.T) {
	now, over := &Installer{Profile: "debian"}, &Installer{Profile: "debian", Over: true}
	for name, c := range map[string]struct {
		facts     Facts
		ram, inst bool
	}{
		"an unknown machine installs":                 {Facts{Installer: now}, false, true},
		"an unknown machine that is through does not": {Facts{Installer: over}, false, false},
		"an operation goes before":                    {Facts{Name: "n1", WantsAgent: true, Installer: now}, true, false},
		"an operation goes after, too":                {Facts{Name: "n1", WantsAgent: true, Installer: over}, true, false},
		"a new machine with a profile installs":       {Facts{Name: "n1", State: metal.New, Installer: now}, false, true},
		"a new machine that is through does not":      {Facts{Name: "n1", State: metal.New, Installer: over}, false, false},
		"an unknown machine without one enlists":      {Facts{}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := PlanFor(c.facts)
			if p.RAM != c.ram || (p.Installer != nil) != c.inst {
				t.Errorf("got %+v; want RAM %t, an installer %t", p, c.ram, c.inst)
			}
		})
	}
}
