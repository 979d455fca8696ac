// Package seal encrypts the few secrets that the database holds (BMC passwords, user data) with AES-256-GCM under a
// key that lies in a file of its own, mode 0600, beside the database and never in it.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const keyBytes = 32

// A Sealer encrypts and decrypts under one key. It is safe for concurrent use.
type Sealer struct{ aead cipher.AEAD }

// LoadOrCreate reads the key file at path, or makes it with a fresh random key where there is none. A key file that
// others can read, or that holds no key, is an error that says what to do.
func LoadOrCreate(path string) (*Sealer, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return create(path)
	case err != nil:
		return nil, fmt.Errorf("look at key file: %w", err)
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("key file %s can be read by others (mode %04o): run chmod 0600 on it", path, info.Mode().Perm())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read key file: %w", err)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != keyBytes {
		return nil, fmt.Errorf("key file %s does not hold a key of %d bytes in base64: restore it from a backup; without it the stored passwords are lost", path, keyBytes)
	}
	return New(key)
}

func create(path string) (*Sealer, error) {
	key := make([]byte, keyBytes)
	rand.Read(key) // never fails (crypto/rand since Go 1.24)
	// The file gets its name when it is whole: a crash in between leaves no key file that holds no key.
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*") // mode 0600
	if err != nil {
		return nil, fmt.Errorf("make key file: %w", err)
	}
	_, err = f.WriteString(base64.StdEncoding.EncodeToString(key) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Link(f.Name(), path) // unlike a rename it replaces nothing
	}
	if err := errors.Join(err, os.Remove(f.Name())); err != nil {
		return nil, fmt.Errorf("write key file %s: %w", path, err)
	}
	return New(key)
}

// New returns a Sealer for a key of 32 bytes.
func New(key []byte) (*Sealer, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return &Sealer{aead}, nil
}

// Seal encrypts plain. The place (table, column and row) is authenticated with it, so that a sealed value that was
// copied to another row does not open.
func (s *Sealer) Seal(plain []byte, place string) []byte {
	return s.aead.Seal(nil, nil, plain, []byte(place))
}

// Open decrypts what Seal made for the same place. It fails when the value was changed, belongs elsewhere, or was
// sealed under another key.
func (s *Sealer) Open(sealed []byte, place string) ([]byte, error) {
	plain, err := s.aead.Open(nil, nil, sealed, []byte(place))
	if err != nil {
		return nil, fmt.Errorf("open the sealed value of %s: the key file does not belong to this database, or the value was damaged", place)
	}
	return plain, nil
}
