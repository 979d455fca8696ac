package servertest_test

import (
	"io"
	"net/http"
	"regexp"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agentapi"
	"github.com/metalform/terraform-provider-metal/server/servertest"
)

// TestABootTokenWorksForOneBootAlone replays what anybody on the machines' network can read: a boot token.
func TestABootTokenWorksForOneBootAlone(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	const mac = metal.MAC("52:54:00:99:00:01")
	token := func() string {
		res, err := http.Get(s.Boot + "/boot/script/" + string(mac) + "?platform=pcbios")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		script, err := io.ReadAll(res.Body)
		must(t, err)
		found := regexp.MustCompile(agentapi.ParamToken + `=(\S+)`).FindSubmatch(script)
		if found == nil {
			t.Fatalf("no token in %s", script)
		}
		return string(found[1])
	}
	hello := func(token, boot string) error {
		c, err := agentapi.NewClient(s.Boot, &http.Client{})
		must(t, err)
		_, err = c.Hello(t.Context(), agentapi.Hello{
			Token: token, BootID: boot, BootMAC: mac, MACs: []metal.MAC{mac}, Arch: metal.AMD64, BootMode: metal.BIOS, Version: "simulated",
			SMBIOS: metal.SMBIOS{UUID: "00000000-0000-4000-8000-000000000099"},
		})
		return err
	}
	first := token()
	must(t, hello(first, "one"))
	must(t, hello(first, "one")) // the same boot again, as after a restart of the server
	if err := hello(first, "two"); metal.CodeOf(err) != metal.Unauthorized {
		t.Errorf("another boot with the token: got %v; want unauthorized", err)
	}
	must(t, hello(token(), "two"))
	if err := hello(first, "three"); metal.CodeOf(err) != metal.Unauthorized {
		t.Errorf("the first token after a boot has ended its session: got %v; want unauthorized", err)
	}
}
