package testnet

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// claimVariable makes the test's program claim a core and say what came of it.
const claimVariable = "TESTNET_CLAIM"

func TestMain(m *testing.M) {
	if os.Getenv(claimVariable) == "" {
		os.Exit(m.Run())
	}
	cores, err := Cores()
	if err != nil {
		panic(err)
	}
	release, err := Claim(cores[0])
	if err != nil {
		panic(err)
	}
	left, err := Cores()
	again := release()
	fmt.Println(len(left), err, again)
	said, err := exec.Command("nice").CombinedOutput() // says its niceness, which is inherited
	fmt.Println(strings.TrimSpace(string(said)), err)
}

func TestAClaimHoldsForTheProcessAndItsChildren(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("needs root")
		}
		t.Skip("needs root")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), claimVariable+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got, want := string(out), fmt.Sprintf("1 <nil> <nil>\n%d <nil>\n", favoured); got != want {
		t.Errorf("got %q; want one core, and the niceness %d: %q", got, favoured, want)
	}
}
