package qcow2

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// clusterKind is how build stores one cluster.
type clusterKind int

const (
	absent clusterKind = iota
	plain
	packed
	zeroed
)

// build makes an image of 512-byte clusters, by hand and by the specification alone: header, one L1 table, L2 tables,
// then the data. Cluster i of the disk holds bytes of value i+1 where its kind stores data.
func build(t testing.TB, version uint32, compression Compression, kinds ...clusterKind) []byte {
	t.Helper()
	const cluster, perTable = 512, 64
	tables := (len(kinds) + perTable - 1) / perTable
	image := make([]byte, (2+tables)*cluster)
	be := binary.BigEndian
	copy(image, Magic)
	be.PutUint32(image[4:], version)
	be.PutUint32(image[20:], 9)
	be.PutUint64(image[24:], uint64(len(kinds)*cluster))
	be.PutUint32(image[36:], uint32(tables))
	be.PutUint64(image[40:], cluster)
	if version == 3 {
		be.PutUint32(image[96:], 4)
		be.PutUint32(image[100:], 112)
		if compression != Zlib {
			be.PutUint64(image[72:], featureCompression)
			image[104] = byte(compression)
		}
	}
	for i := range tables {
		be.PutUint64(image[cluster+8*i:], uint64((2+i)*cluster)|1<<63)
	}
	for i, kind := range kinds {
		content := bytes.Repeat([]byte{byte(i + 1)}, cluster)
		var entry uint64
		switch kind {
		case plain:
			image = append(image, make([]byte, -len(image)&(cluster-1))...)
			entry = uint64(len(image)) | 1<<63
			image = append(image, content...)
		case packed:
			data := pack(t, compression, content)
			first, last := len(image)/512, (len(image)+len(data)-1)/512
			entry = flagPacked | uint64(last-first)<<(62-1) | uint64(len(image))
			image = append(image, data...)
		case zeroed:
			entry = flagZero
		}
		be.PutUint64(image[2*cluster+8*i:], entry)
	}
	return image
}

// disk is what an image of build reads as.
func disk(kinds ...clusterKind) []byte {
	var b []byte
	for i, kind := range kinds {
		value := byte(0)
		if kind == plain || kind == packed {
			value = byte(i + 1)
		}
		b = append(b, bytes.Repeat([]byte{value}, 512)...)
	}
	return b
}

func pack(t testing.TB, c Compression, content []byte) []byte {
	t.Helper()
	if c == Zstd {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		return e.EncodeAll(content, nil)
	}
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
