package metadata

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestParsePhoneHome(t *testing.T) {
	tests := []struct {
		name string
		form string
		want PhoneHome
	}{
		{
			"what cloud-init posts",
			"hostname=node7&fqdn=node7.example.org&instance_id=op-1&pub_key_rsa=N%2FA&pub_key_ed25519=" + url.QueryEscape(ed25519Key+" root@node7\n"),
			PhoneHome{"node7", "op-1", []string{ed25519Key}},
		},
		{
			"several keys, each once",
			"instance_id=op-1&pub_key_rsa=" + url.QueryEscape(ed25519Key) + "&pub_key_ecdsa=" + url.QueryEscape(secondKey) + "&pub_key_ed25519=" + url.QueryEscape(ed25519Key),
			PhoneHome{"", "op-1", []string{secondKey, ed25519Key}},
		},
		{"a report that says nothing", "", PhoneHome{}},
		{"what cloud-init does not have", "hostname=N/A&instance_id=N/A", PhoneHome{}},
		{"a host name that is none", "instance_id=op-1&hostname=a%0Ab", PhoneHome{"", "op-1", nil}},
		{"a key that is none", "instance_id=op-1&pub_key_rsa=hello", PhoneHome{"", "op-1", nil}},
		{"a key with options", "instance_id=op-1&pub_key_rsa=" + url.QueryEscape(`command="reboot" `+ed25519Key), PhoneHome{"", "op-1", nil}},
		{"a key with a bare option", "instance_id=op-1&pub_key_rsa=" + url.QueryEscape("cert-authority "+ed25519Key), PhoneHome{"", "op-1", nil}},
		{"a key of 20 KiB", "instance_id=op-1&pub_key_rsa=" + url.QueryEscape(ed25519Key+" "+strings.Repeat("a", 20<<10)), PhoneHome{"", "op-1", nil}},
		{"fields that nobody knows", "instance_id=op-1&x=y", PhoneHome{"", "op-1", nil}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			form, err := url.ParseQuery(tt.form)
			if err != nil {
				t.Fatal(err)
			}
			got, err := ParsePhoneHome(form)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParsePhoneHomeRefusesAnIDThatNoSeedGave(t *testing.T) {
	for _, id := range []string{"a b", "a\n", "../x", strings.Repeat("a", 129), "é"} {
		if _, err := ParsePhoneHome(url.Values{"instance_id": {id}}); metal.CodeOf(err) != metal.Invalid {
			t.Errorf("%q: got %v; want an invalid error", id, err)
		}
	}
}

func FuzzParsePhoneHome(f *testing.F) {
	f.Add("hostname=node7&instance_id=op-1&pub_key_ed25519=" + url.QueryEscape(ed25519Key))
	f.Add("instance_id=%0A&pub_key_rsa=N/A")
	f.Fuzz(func(t *testing.T, query string) {
		form, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		got, err := ParsePhoneHome(form)
		if err != nil {
			return
		}
		if len(got.Hostname) > maxName+1 || len(got.InstanceID) > 128 || len(got.SSHHostKeys) > len(hostKeyFields) {
			t.Errorf("got %+v, which is more than a system has to say", got)
		}
		bad := func(s string) bool { return strings.ContainsAny(s, "\r\n\x00") }
		if bad(got.Hostname) || bad(got.InstanceID) || slices.ContainsFunc(got.SSHHostKeys, bad) {
			t.Errorf("got %+v, with a line break", got)
		}
		for _, key := range got.SSHHostKeys {
			if len(strings.Fields(key)) != 2 {
				t.Errorf("got host key %q; want type and base64", key)
			}
		}
	})
}
