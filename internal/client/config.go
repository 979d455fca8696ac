package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// stored is the file that a login writes.
type stored struct {
	URL      string `json:"url"`
	Token    string `json:"token"`
	CA       string `json:"ca,omitempty"` // PEM
	Insecure bool   `json:"insecure,omitempty"`
}

// Load returns the configuration of the environment (METAL_URL, METAL_TOKEN, METAL_CA_FILE, METAL_INSECURE), and for
// what it leaves open, of the last login.
func Load() (Config, error) { return Resolve(Config{}) }

// Resolve fills what explicit leaves open from the environment, and then from the last login. What the login stored
// is used for its own server only: its token goes to no other.
func Resolve(explicit Config) (Config, error) {
	cfg := explicit
	if cfg.URL == "" {
		cfg.URL = os.Getenv("METAL_URL")
	}
	if cfg.Token.Empty() {
		cfg.Token = metal.NewSecret(os.Getenv("METAL_TOKEN"))
	}
	if path := os.Getenv("METAL_CA_FILE"); len(cfg.CA) == 0 && path != "" {
		pem, err := os.ReadFile(path)
		if err != nil {
			return Config{}, metal.Errorf(metal.Invalid, "read the certificate authority that METAL_CA_FILE names: %w", err)
		}
		cfg.CA = pem
	}
	if text := os.Getenv("METAL_INSECURE"); !cfg.Insecure && text != "" {
		insecure, err := strconv.ParseBool(text)
		if err != nil {
			return Config{}, metal.Errorf(metal.Invalid, "METAL_INSECURE is %q: write true or false", text)
		}
		cfg.Insecure = insecure
	}
	return withLogin(cfg)
}

func withLogin(cfg Config) (Config, error) {
	login, err := readLogin()
	if err != nil || login.URL == "" || (cfg.URL != "" && strings.TrimRight(cfg.URL, "/") != strings.TrimRight(login.URL, "/")) {
		return cfg, err
	}
	cfg.URL = login.URL
	if cfg.Token.Empty() {
		cfg.Token = metal.NewSecret(login.Token)
	}
	if len(cfg.CA) == 0 {
		cfg.CA = []byte(login.CA)
	}
	cfg.Insecure = cfg.Insecure || login.Insecure
	return cfg, nil
}

// LoginPath returns where logins are stored; an Invalid error when the person has no configuration directory.
func LoginPath() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", metal.Errorf(metal.Invalid, "find the directory for configuration: %w", err)
	}
	return filepath.Join(dir, "metalform", "client.json"), nil
}

// readLogin returns what the last login stored, or nothing when there was none.
func readLogin() (stored, error) {
	path, err := LoginPath()
	if err != nil {
		// A service without a home directory has no login either.
		return stored{}, nil
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return stored{}, nil
	}
	if err != nil {
		return stored{}, metal.Errorf(metal.Invalid, "read the stored login: %w", err)
	}
	var s stored
	if err := json.Unmarshal(text, &s); err != nil {
		return stored{}, metal.Errorf(metal.Invalid, "the stored login %s is damaged: run metalctl login again", path)
	}
	return s, nil
}

// SaveLogin stores cfg for later calls, readable by its owner only, and returns the file's path.
func SaveLogin(cfg Config) (string, error) {
	path, err := LoginPath()
	if err != nil {
		return "", err
	}
	text, err := json.MarshalIndent(stored{URL: cfg.URL, Token: cfg.Token.Reveal(), CA: string(cfg.CA), Insecure: cfg.Insecure}, "", "  ")
	if err != nil {
		return "", fmt.Errorf("encode the login: %w", err)
	}
	if err := replace(path, append(text, '\n')); err != nil {
		return "", metal.Errorf(metal.Internal, "store the login in %s: %w", path, err)
	}
	return path, nil
}

// replace writes a file at one go: a reader sees the old content or the new one.
func replace(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".client-*") // made with mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
