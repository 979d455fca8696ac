package bmctest

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func startRedfish(t *testing.T, hw Hardware) *Redfish {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewRedfish(ln, hw, testIdentity, testAccount, quiet())
	if err != nil {
		t.Fatal(err)
	}
	run(t, b.Run)
	return b
}

func TestSushyDrivesTheMachine(t *testing.T) {
	python := "/usr/bin/python3" // the one that sees Debian's packages
	if err := exec.Command(python, "-c", "import sushy").Run(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("import sushy: %v", err)
		}
		t.Skip("python3-sushy is not installed")
	}
	for _, kind := range []string{"session", "basic"} {
		t.Run(kind+" authentication", func(t *testing.T) {
			starts := make(chan Boot, 10)
			hw := &Fake{OnPowerOn: func(b Boot) { starts <- b }}
			b := startRedfish(t, hw)
			out, err := output(t, python, "testdata/sushy_drive.py", "https://"+b.Addr(), "admin", "secret123", kind)
			if err != nil {
				t.Fatalf("sushy: %v\n%s", err, out)
			}
			var got map[string]any
			if err := json.Unmarshal([]byte(out), &got); err != nil {
				t.Fatalf("read sushy's answer %q: %v", out, err)
			}
			want := map[string]any{
				"version": "1.20.0", "serial": "LAB-0001", "uuid": testIdentity.UUID,
				"power":    []any{"Off", "On", "On", "Off"},
				"resets":   []any{"ForceOff", "ForceRestart", "GracefulShutdown", "On", "PowerCycle"},
				"macs":     []any{"52:54:00:12:34:56", "52:54:00:12:34:57"},
				"managers": []any{"BMC"}, "chassis": []any{"RackMount"},
				"boot": []any{"Pxe", "Once", "Legacy"}, "left": "Disabled", "refused": "InvalidParameterValueError",
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("what sushy saw (-want +got):\n%s", diff)
			}
			if got, want := <-starts, (Boot{Device: metal.BootNetwork, Once: true}); got != want || len(starts) != 0 {
				t.Errorf("start: got %+v and %d more; want %+v", got, len(starts), want)
			}
		})
	}
}

// A curl is a request made with the curl program, which shares no code with us.
func curl(t *testing.T, b *Redfish, args ...string) (headers, body string) {
	t.Helper()
	path := args[len(args)-1]
	args = append([]string{"-sS", "-k", "-i", "--max-time", "20"}, args[:len(args)-1]...)
	out, err := output(t, tool(t, "curl"), append(args, "https://"+b.Addr()+path)...)
	if err != nil {
		t.Fatalf("curl %v: %v\n%s", args, err, out)
	}
	headers, body, _ = strings.Cut(out, "\r\n\r\n")
	return headers, body
}

// header returns the value of a header in what curl printed.
func header(headers, name string) string {
	for line := range strings.SplitSeq(headers, "\r\n") {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.EqualFold(key, name) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func TestCurlSpeaksTheProtocol(t *testing.T) {
	const json = "Content-Type: application/json"
	boot := func(text string) string { return `{"Boot":{` + text + `}}` }
	for _, c := range []struct {
		name   string
		faults Faults
		args   []string
		status string
		want   string // part of the body
	}{
		{"the version is open to everybody", Faults{}, []string{"/redfish"}, "200", `"v1":"/redfish/v1/"`},
		{"the root is open to everybody", Faults{}, []string{"/redfish/v1"}, "200", `"RedfishVersion":"1.20.0"`},
		{"a slash at the end does not matter", Faults{}, []string{"/redfish/v1/"}, "200", `"RedfishVersion":"1.20.0"`},
		{"the OData service document is open to everybody", Faults{}, []string{"/redfish/v1/odata"}, "200", `"kind":"Singleton"`},
		{"the metadata document is open to everybody", Faults{}, []string{"/redfish/v1/$metadata"}, "200", `<edmx:Edmx`},
		{"systems are not", Faults{}, []string{"/redfish/v1/Systems/1"}, "401", `Base.1.18.NoValidSession`},
		{"a wrong password is refused", Faults{}, []string{"-u", "admin:wrong", "/redfish/v1/Systems/1"}, "401", `Base.1.18.NoValidSession`},
		{"a login with a wrong password is refused", Faults{}, []string{"-H", json, "-d", `{"UserName":"admin","Password":"wrong"}`, sessionsPath}, "401", `"@Message.ExtendedInfo"`},
		{"a made-up token is refused", Faults{}, []string{"-H", "X-Auth-Token: 1234", "/redfish/v1/Systems/1"}, "401", `NoValidSession`},
		{"Basic authentication is enough", Faults{}, []string{"-u", "admin:secret123", "/redfish/v1/Systems/1"}, "200", `"PowerState":"Off"`},
		{"what is not there is not found", Faults{}, []string{"-u", "admin:secret123", "/redfish/v1/Systems/2"}, "404", `ResourceMissingAtURI`},
		{"interfaces count from 1", Faults{}, []string{"-u", "admin:secret123", "/redfish/v1/Systems/1/EthernetInterfaces/0"}, "404", `ResourceNotFound`},
		{"another OData version is refused", Faults{}, []string{"-H", "OData-Version: 3.0", "/redfish/v1"}, "412", `HeaderInvalid`},
		{"a stale ETag is refused", Faults{}, []string{"-u", "admin:secret123", "-X", "PATCH", "-H", json, "-H", `If-Match: "stale"`, "-d", boot(`"BootSourceOverrideTarget":"Pxe"`), "/redfish/v1/Systems/1"}, "412", `PreconditionFailed`},
		{"any ETag will do", Faults{}, []string{"-u", "admin:secret123", "-X", "PATCH", "-H", json, "-H", `If-Match: *`, "-d", boot(`"BootSourceOverrideTarget":"Pxe","BootSourceOverrideEnabled":"Continuous"`), "/redfish/v1/Systems/1"}, "200", `"BootSourceOverrideEnabled":"Continuous"`},
		{"a boot source that is not there is refused", Faults{}, []string{"-u", "admin:secret123", "-X", "PATCH", "-H", json, "-d", boot(`"BootSourceOverrideTarget":"Usb"`), "/redfish/v1/Systems/1"}, "400", `PropertyValueNotInList`},
		{"a duration that is not there is refused", Faults{}, []string{"-u", "admin:secret123", "-X", "PATCH", "-H", json, "-d", boot(`"BootSourceOverrideEnabled":"Twice"`), "/redfish/v1/Systems/1"}, "400", `PropertyValueNotInList`},
		{"a boot mode that is not there is refused", Faults{}, []string{"-u", "admin:secret123", "-X", "PATCH", "-H", json, "-d", boot(`"BootSourceOverrideMode":"Coreboot"`), "/redfish/v1/Systems/1"}, "400", `PropertyValueNotInList`},
		{"an unknown property is refused", Faults{}, []string{"-u", "admin:secret123", "-X", "PATCH", "-H", json, "-d", `{"AssetTag":"7"}`, "/redfish/v1/Systems/1"}, "400", `UnrecognizedRequestBody`},
		{"a change of nothing is refused", Faults{}, []string{"-u", "admin:secret123", "-X", "PATCH", "-H", json, "-d", `{}`, "/redfish/v1/Systems/1"}, "400", `PropertyMissing`},
		{"a body that is not JSON is refused", Faults{}, []string{"-u", "admin:secret123", "-H", json, "-d", `on`, "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset"}, "400", `UnrecognizedRequestBody`},
		{"a reset type that is not there is refused", Faults{}, []string{"-u", "admin:secret123", "-H", json, "-d", `{"ResetType":"Nmi"}`, "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset"}, "400", `ActionParameterNotSupported`},
		{"a power cycle ends with power on", Faults{}, []string{"-u", "admin:secret123", "-H", json, "-d", `{"ResetType":"PowerCycle"}`, "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset"}, "204", ``},
		{"refused power is an internal error with a message", Faults{RefusePower: true}, []string{"-u", "admin:secret123", "-H", json, "-d", `{"ResetType":"On"}`, "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset"}, "500", `The chassis refused to change the power state.`},
		{"managers are listed", Faults{}, []string{"-u", "admin:secret123", "/redfish/v1/Managers"}, "200", `"Members@odata.count":1`},
		{"the manager is shown", Faults{}, []string{"-u", "admin:secret123", "/redfish/v1/Managers/1"}, "200", `"ManagerType":"BMC"`},
		{"the chassis is shown", Faults{}, []string{"-u", "admin:secret123", "/redfish/v1/Chassis/1"}, "200", `"PowerState":"Off"`},
		{"the session service is shown", Faults{}, []string{"-u", "admin:secret123", "/redfish/v1/SessionService"}, "200", `"SessionTimeout":1800`},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := startRedfish(t, &Fake{})
			b.SetFaults(c.faults)
			headers, body := curl(t, b, c.args...)
			if !strings.HasPrefix(headers, "HTTP/1.1 "+c.status+" ") || !strings.Contains(body, c.want) {
				t.Errorf("got %s\n%s\nwant status %s and a body with %s", headers, body, c.status, c.want)
			}
			if got := header(headers, "OData-Version"); got != "4.0" {
				t.Errorf("OData-Version: got %q; want 4.0", got)
			}
		})
	}
}

func TestSessionLastsUntilLogout(t *testing.T) {
	b := startRedfish(t, &Fake{})
	headers, _ := curl(t, b, "-H", "Content-Type: application/json", "-d", `{"UserName":"admin","Password":"secret123"}`, sessionsPath)
	token, path := "X-Auth-Token: "+header(headers, "X-Auth-Token"), header(headers, "Location")
	if path != sessionsPath+"/1" {
		t.Fatalf("Location: got %q; want %s/1\n%s", path, sessionsPath, headers)
	}
	for _, step := range []struct {
		args   []string
		status string
	}{
		{[]string{"-H", token, "/redfish/v1/Systems/1"}, "200"},
		{[]string{"-H", token, path}, "200"},
		{[]string{"-H", token, "-X", "DELETE", path}, "204"},
		{[]string{"-H", token, "/redfish/v1/Systems/1"}, "401"},
		{[]string{"-u", "admin:secret123", "-X", "DELETE", path}, "404"},
	} {
		if headers, body := curl(t, b, step.args...); !strings.HasPrefix(headers, "HTTP/1.1 "+step.status) {
			t.Errorf("%v: got %s\n%s\nwant status %s", step.args[2:], headers, body, step.status)
		}
	}
}

func TestETagChangesWithTheSystem(t *testing.T) {
	hw := &Fake{}
	b := startRedfish(t, hw)
	tag := func() string {
		headers, body := curl(t, b, "-u", "admin:secret123", "/redfish/v1/Systems/1")
		var system struct {
			Tag string `json:"@odata.etag"`
		}
		if err := json.Unmarshal([]byte(body), &system); err != nil {
			t.Fatal(err)
		}
		if got := header(headers, "ETag"); got == "" || got != system.Tag {
			t.Errorf("ETag: got %q in the header and %q in the body; want the same", got, system.Tag)
		}
		return system.Tag
	}
	first, again := tag(), tag()
	if first != again {
		t.Errorf("ETag of an unchanged system: got %s; want %s", again, first)
	}
	if err := hw.SetPower(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if after := tag(); after == first {
		t.Errorf("ETag of a changed system: got %s again", after)
	}
}

func TestSilentRedfishCanBeStopped(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewRedfish(ln, &Fake{}, testIdentity, testAccount, quiet())
	if err != nil {
		t.Fatal(err)
	}
	b.SetFaults(Faults{Silent: true})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	conn, err := net.Dial("tcp", b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("GET / HTTP/1.1\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: got %v; want nil", err)
	}
}

func TestRedfishFreesSessionsNobodyUses(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	s := newRedfishSessions(testAccount)
	for range maxSessions {
		if _, err := s.login("admin", "secret123", now); err != nil {
			t.Fatal(err)
		}
	}
	var full *redfishError
	if _, err := s.login("admin", "secret123", now); !errors.As(err, &full) || full.status != 503 {
		t.Errorf("one session too many: got %v; want status 503", err)
	}
	last, err := s.login("admin", "secret123", now.Add(sessionLife+time.Second))
	if err != nil {
		t.Fatalf("after %v: %v", sessionLife, err)
	}
	if got := s.paths(); len(got) != 1 || got[0] != sessionsPath+"/"+last.id {
		t.Errorf("sessions: got %q; want only %s", got, last.id)
	}
	if !s.touch(last.token, now.Add(2*sessionLife)) || s.touch(last.token, now.Add(4*sessionLife)) {
		t.Error("a session lasts for as long as it is used, and no longer")
	}
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		header string
		want   bool
	}{
		{"", true}, {"*", true}, {`"a"`, true}, {`"b", "a"`, true}, {`"b"`, false}, {`W/"a"`, false}, {`a`, false},
	} {
		if got := matches(c.header, `"a"`); got != c.want {
			t.Errorf("matches(%q): got %t; want %t", c.header, got, c.want)
		}
	}
}
