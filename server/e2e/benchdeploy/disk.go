package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// stripe is how much of the disk holds files, before as much is left empty.
const stripe = 24 * mebibyte

// errFull ends the walk that fills a disk.
var errFull = errors.New("the disk is full")

// makeDisk makes a disk image as systems have them: half of it is the programs and libraries of this computer, in
// stripes, and half is empty.
func makeDisk(path string, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := &striped{f: f, size: size}
	err = filepath.WalkDir("/usr", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil //nolint:nilerr // what cannot be read is no part of the disk
		}
		return w.add(name)
	})
	if errors.Is(err, errFull) {
		err = nil
	}
	if err == nil {
		err = f.Truncate(size)
	}
	if err == nil { // a boot sector, or it is taken for no disk
		_, err = f.WriteAt([]byte{0x55, 0xaa}, 510)
	}
	return errors.Join(err, f.Close())
}

// striped writes to every second stripe of a file.
type striped struct {
	f    *os.File
	at   int64
	size int64
}

func (s *striped) add(name string) error {
	in, err := os.Open(name)
	if err != nil {
		return nil //nolint:nilerr // as above
	}
	defer in.Close()
	_, err = io.Copy(s, in)
	return err
}

// Write writes on, across gaps.
func (s *striped) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		left := min(stripe-s.at%(2*stripe), s.size-s.at)
		if left <= 0 {
			if s.at >= s.size {
				return written, errFull
			}
			s.at += stripe
			continue
		}
		n, err := s.f.WriteAt(p[:min(int64(len(p)), left)], s.at)
		written, s.at, p = written+n, s.at+int64(n), p[n:]
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// copyPart makes a file of the first bytes of another one.
func copyPart(to, from string, bytes int64) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.CopyN(out, in, bytes)
	return errors.Join(err, out.Close())
}
