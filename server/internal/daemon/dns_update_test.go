package daemon

import (
	"encoding/base64"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/dns"
	"github.com/metalform/terraform-provider-metal/server/internal/netns"
	"github.com/metalform/terraform-provider-metal/server/internal/seal"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
	"github.com/metalform/terraform-provider-metal/server/internal/udp"
	"github.com/metalform/terraform-provider-metal/server/internal/zone"
)

const updateSecret = "a secret that two sides know"

// named is a name server with a database, in which the zone updates.test may be changed with the key "up".
func named(t *testing.T) (db *store.DB, keys *dnsKeys, server netip.AddrPort) {
	t.Helper()
	ctx, dir, log := t.Context(), t.TempDir(), slog.New(slog.DiscardHandler)
	sealer, err := seal.LoadOrCreate(filepath.Join(dir, "secret.key"))
	if err != nil {
		t.Fatal(err)
	}
	db, err = store.Open(ctx, filepath.Join(dir, "metald.db"), store.Options{Sealer: sealer, Now: time.Now, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if keys, err = openDNSKeys(ctx, db); err != nil {
		t.Fatal(err)
	}
	zones, err := openZones(ctx, db, zone.Config{Zone: "metal.test", NameServer: "ns.metal.test"}, time.Now(), log)
	if err != nil {
		t.Fatal(err)
	}
	putKey(t, db, "up", updateSecret)
	err = db.Update(ctx, func(tx *store.Tx) error {
		if err := tx.PutZone(&metal.Zone{Name: "updates.test", Spec: metal.ZoneSpec{Update: metal.UpdateSpec{Keys: []string{"up"}}}}); err != nil {
			return err
		}
		return tx.PutRecordSet(&metal.RecordSet{Zone: "updates.test", Name: "www", Type: "A", Spec: metal.RecordSetSpec{Values: []string{"192.0.2.1"}}})
	})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := udp.Listen(ctx, "udp4", "127.0.0.1:0", "")
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp4", conn.LocalAddr().String())
	if err != nil {
		t.Skipf("the port of UDP is taken by TCP: %v", err)
	}
	config := dns.Config{Keys: keys, Updater: dnsUpdater{db, zones}}
	netns.Keep(t, "the name server", dns.New([]*udp.Conn{conn}, []net.Listener{listener}, zones, dns.Self{}, config, log).Run)
	return db, keys, conn.LocalAddr()
}

func putKey(t *testing.T, db *store.DB, name, secret string) {
	t.Helper()
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		k, err := tx.DNSKey(name)
		if metal.CodeOf(err) == metal.NotFound {
			k, err = &metal.DNSKey{Name: name, Algorithm: "hmac-sha256"}, nil
		}
		if err != nil {
			return err
		}
		return tx.PutDNSKey(k, metal.NewSecret(secret))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// nsupdate runs the real one, and returns what it prints; nothing where all went well.
func nsupdate(t *testing.T, server netip.AddrPort, secret, text string) string {
	t.Helper()
	netns.Need(t, "nsupdate")
	cmd := exec.Command("nsupdate", "-t", "20")
	if secret != "" {
		cmd = exec.Command("nsupdate", "-t", "20", "-y", "hmac-sha256:up:"+base64.StdEncoding.EncodeToString([]byte(secret)))
	}
	cmd.Stdin = strings.NewReader(fmt.Sprintf("server %s %d\nzone updates.test\n%s\nsend\n", server.Addr(), server.Port(), text))
	out, _ := cmd.CombinedOutput() // it ends with 2 where the server refuses
	return string(out)
}

// lookUp returns the values that the server answers with, separated by blanks.
func lookUp(t *testing.T, server netip.AddrPort, name string, kind uint16) string {
	t.Helper()
	answer, _, err := (&miekg.Client{Timeout: 20 * time.Second}).Exchange(new(miekg.Msg).SetQuestion(name, kind), server.String())
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, rr := range answer.Answer {
		list = append(list, strings.TrimPrefix(rr.String(), rr.Header().String()))
	}
	return strings.Join(list, " ")
}

func TestPeerNsupdate(t *testing.T) {
	db, _, server := named(t)
	steps := []struct {
		name, secret, text, says string
		look                     string
		kind                     uint16
		want                     string
	}{
		{"a new name", updateSecret, "update add new.updates.test. 300 A 192.0.2.7", "", "new.updates.test.", miekg.TypeA, "192.0.2.7"},
		{"one more", updateSecret, "update add new.updates.test. 300 A 192.0.2.8", "", "new.updates.test.", miekg.TypeA, "192.0.2.7 192.0.2.8"},
		{"one goes", updateSecret, "update delete new.updates.test. A 192.0.2.7", "", "new.updates.test.", miekg.TypeA, "192.0.2.8"},
		{"the name goes", updateSecret, "update delete new.updates.test.", "", "new.updates.test.", miekg.TypeA, ""},
		{"a declared set is replaced", updateSecret, "update delete www.updates.test. A\nupdate add www.updates.test. 60 A 192.0.2.2", "", "www.updates.test.", miekg.TypeA, "192.0.2.2"},
		{"an alias in its place", updateSecret, "update delete www.updates.test.\nupdate add www.updates.test. 60 CNAME else.example.", "", "www.updates.test.", miekg.TypeCNAME, "else.example."},
		{"a text", updateSecret, `update add t.updates.test. 60 TXT "a b" "c"`, "", "t.updates.test.", miekg.TypeTXT, `"a b" "c"`},
		{"many records, by TCP", updateSecret, many(200), "", "n199.updates.test.", miekg.TypeA, "192.0.2.9"},
		{"a prerequisite that holds", updateSecret, "prereq yxrrset t.updates.test. TXT\nupdate add p.updates.test. 60 A 192.0.2.3", "", "p.updates.test.", miekg.TypeA, "192.0.2.3"},
		{"one that does not", updateSecret, "prereq nxdomain t.updates.test.\nupdate add q.updates.test. 60 A 192.0.2.3", "YXDOMAIN", "q.updates.test.", miekg.TypeA, ""},
		{"the name servers", updateSecret, "update delete updates.test. NS ns.metal.test.", "REFUSED", "updates.test.", miekg.TypeNS, "ns.metal.test."},
		{"no key", "", "update add q.updates.test. 60 A 192.0.2.3", "REFUSED", "q.updates.test.", miekg.TypeA, ""},
		{"another secret", "not the secret of both sides", "update add q.updates.test. 60 A 192.0.2.3", "BADSIG", "q.updates.test.", miekg.TypeA, ""},
	}
	for _, s := range steps {
		t.Run(s.name, func(t *testing.T) {
			if got := nsupdate(t, server, s.secret, s.text); !strings.Contains(got, s.says) || s.says == "" && got != "" {
				t.Errorf("nsupdate prints %q; want %q", got, s.says)
			}
			if got := lookUp(t, server, s.look, s.kind); got != s.want {
				t.Errorf("got %q; want %q", got, s.want)
			}
		})
	}
	err := db.Read(t.Context(), func(tx *store.Tx) error {
		r, err := tx.RecordSet("updates.test", "t", "TXT")
		if err == nil && (r.FQDN != "t.updates.test" || len(r.Spec.Values) != 1 || r.Spec.Values[0] != `"a b" "c"`) {
			t.Errorf("the database has %+v", *r)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// many is an update that no datagram holds.
func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "update add n%d.updates.test. 60 A 192.0.2.9\n", i)
	}
	return b.String()
}

func TestKeysAreWhatTheDatabaseHas(t *testing.T) {
	db, keys, _ := named(t)
	check := func(what, want string, wantOK bool) {
		t.Helper()
		algorithm, secret, ok := keys.Key("up")
		if string(secret) != want || ok != wantOK || ok && algorithm != "hmac-sha256" {
			t.Errorf("%s: got %q, %s, %t; want %q, %t", what, secret, algorithm, ok, want, wantOK)
		}
	}
	check("a key that was made", updateSecret, true)
	putKey(t, db, "up", "another secret")
	check("a key that was changed", "another secret", true)
	again, err := openDNSKeys(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	if _, secret, ok := again.Key("up"); !ok || string(secret) != "another secret" {
		t.Errorf("after a start: got %q, %t", secret, ok)
	}
	if err := db.Update(t.Context(), func(tx *store.Tx) error { return tx.DeleteDNSKey("up") }); err != nil {
		t.Fatal(err)
	}
	check("a key that was deleted", "", false)
}
