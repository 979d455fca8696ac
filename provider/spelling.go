package main

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// A spelling is a kind of text that can be written in more than one way.
type spelling string

const (
	macSpelling         spelling = "MAC address"
	addressSpelling     spelling = "IP address"
	networkSpelling     spelling = "IP network"
	fingerprintSpelling spelling = "SHA-256 fingerprint"
	publicKeySpelling   spelling = "public SSH key"
	durationSpelling    spelling = "duration"
)

// canonical returns the one way in which two texts that mean the same are spelt, or an Invalid error.
func (s spelling) canonical(text string) (string, error) {
	switch s {
	case macSpelling:
		mac, err := metal.ParseMAC(text)
		return string(mac), err
	case addressSpelling:
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return "", metal.Errorf(metal.Invalid, "%q is not an IP address: write it as in 10.0.0.1 or fd00::1", text)
		}
		return addr.String(), nil
	case networkSpelling:
		return canonicalNetwork(text)
	case fingerprintSpelling:
		raw, err := hex.DecodeString(strings.ReplaceAll(text, ":", ""))
		if err != nil || len(raw) != 32 {
			return "", metal.Errorf(metal.Invalid, "%q is not a SHA-256 fingerprint: write 64 hex digits, with or without colons", text)
		}
		return hex.EncodeToString(raw), nil
	case publicKeySpelling:
		fields := strings.Fields(text)
		if len(fields) < 2 {
			return "", metal.Errorf(metal.Invalid, "this is not a public SSH key: write one line as in authorized_keys, such as ssh-ed25519 AAAA... name")
		}
		return strings.Join(fields, " "), nil
	case durationSpelling:
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 {
			return "", metal.Errorf(metal.Invalid, "%q is not a duration: write a number and a unit, as in 30s, 15m or 2h", text)
		}
		return d.String(), nil
	default:
		return text, nil
	}
}

func canonicalNetwork(text string) (string, error) {
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return "", metal.Errorf(metal.Invalid, "%q is not a network in CIDR form: write it as in 10.0.0.0/24", text)
	}
	if prefix != prefix.Masked() {
		return "", metal.Errorf(metal.Invalid, "%q has bits set behind the prefix: the network is %s", text, prefix.Masked())
	}
	return prefix.String(), nil
}

// same says whether a and b mean the same.
func (s spelling) same(a, b string) bool {
	if a == b {
		return true
	}
	ca, errA := s.canonical(a)
	cb, errB := s.canonical(b)
	return errA == nil && errB == nil && ca == cb
}
