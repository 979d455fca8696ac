package metadata

import (
	"net/url"
	"slices"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// PhoneHome is what an installed system reports once it is up.
type PhoneHome struct {
	Hostname   string // empty when it did not say
	InstanceID string // the same
	// SSHHostKeys are the system's public host keys, type and base64, in the order of their types' names.
	SSHHostKeys []string
}

// hostKeyFields are the fields of cloud-init's phone_home that hold host keys.
var hostKeyFields = []string{"pub_key_dsa", "pub_key_ecdsa", "pub_key_ed25519", "pub_key_rsa"}

// notAvailable is what cloud-init posts for a value that it does not have.
const notAvailable = "N/A"

// ParsePhoneHome reads the form that cloud-init's phone_home module posts. An instance id that no seed of ours could
// have given is an Invalid error. A host key or host name that cannot be read is left out, since the report of a system
// that is up must not be lost over it. Fields that are not known are ignored.
func ParsePhoneHome(form url.Values) (PhoneHome, error) {
	var report PhoneHome
	if id := form.Get("instance_id"); id != "" && id != notAvailable {
		if !instanceForm.MatchString(id) {
			return PhoneHome{}, metal.Errorf(metal.Invalid, "the report's instance_id is not one: letters, digits, dots, dashes and underscores, at most 128")
		}
		report.InstanceID = id
	}
	if name := form.Get("hostname"); isDomain(name) {
		report.Hostname = name
	}
	for _, field := range hostKeyFields {
		key, err := parseKey(form.Get(field))
		if err != nil || len(key.options) > 0 || slices.Contains(report.SSHHostKeys, key.String()) {
			continue
		}
		report.SSHHostKeys = append(report.SSHHostKeys, key.String())
	}
	return report, nil
}
