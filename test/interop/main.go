// Checks a log of ours with the Go team's own code: golang.org/x/mod/sumdb/note and tlog. Reads one JSON document, answers one line.
package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type record struct {
	Index int64
	Entry []byte
	Proof [][]byte
}

type older struct {
	Size  int64
	Root  []byte
	Proof [][]byte
}

type document struct {
	Vkey    string
	Note    string
	Tiles   map[string][]byte
	Records []record
	Older   []older
}

func hashes(list [][]byte) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(list))
	for i, item := range list {
		if len(item) != tlog.HashSize {
			return nil, fmt.Errorf("hash of %d bytes", len(item))
		}
		copy(out[i][:], item)
	}
	return out, nil
}

// Our tiles, under the names of C2SP tlog-tiles: like Go's without the height.
type ours struct{ tiles map[string][]byte }

func (o ours) Height() int { return 8 }

func (o ours) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var out [][]byte
	for _, tile := range tiles {
		name := strings.TrimPrefix(tile.Path(), "tile/8/")
		data, found := o.tiles[name]
		if !found {
			return nil, fmt.Errorf("no tile %s", name)
		}
		out = append(out, data)
	}
	return out, nil
}

func (o ours) SaveTiles([]tlog.Tile, [][]byte) {}

func check(d document) error {
	verifier, err := note.NewVerifier(d.Vkey)
	if err != nil {
		return fmt.Errorf("vkey: %w", err)
	}
	opened, err := note.Open([]byte(d.Note), note.VerifierList(verifier))
	if err != nil {
		return fmt.Errorf("note: %w", err)
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		return fmt.Errorf("checkpoint: %q", lines)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return err
	}
	rootBytes, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil {
		return err
	}
	var root tlog.Hash
	copy(root[:], rootBytes)
	tree := tlog.Tree{N: size, Hash: root}
	reader := tlog.TileHashReader(tree, ours{d.Tiles})

	for _, r := range d.Records {
		proof, err := hashes(r.Proof)
		if err != nil {
			return err
		}
		leaf := tlog.RecordHash(r.Entry)
		if err := tlog.CheckRecord(proof, size, root, r.Index, leaf); err != nil {
			return fmt.Errorf("record %d: %w", r.Index, err)
		}
		// The same proof from our tiles, made by Go, which holds every tile against the root.
		made, err := tlog.ProveRecord(size, r.Index, reader)
		if err != nil {
			return fmt.Errorf("tiles for record %d: %w", r.Index, err)
		}
		if fmt.Sprint(made) != fmt.Sprint(tlog.RecordProof(proof)) {
			return fmt.Errorf("record %d: another proof", r.Index)
		}
	}
	for _, o := range d.Older {
		proof, err := hashes(o.Proof)
		if err != nil {
			return err
		}
		var before tlog.Hash
		copy(before[:], o.Root)
		if err := tlog.CheckTree(proof, size, root, o.Size, before); err != nil {
			return fmt.Errorf("tree of %d: %w", o.Size, err)
		}
	}
	return nil
}

func main() {
	var d document
	if err := json.NewDecoder(os.Stdin).Decode(&d); err != nil {
		fmt.Println("input:", err)
		os.Exit(2)
	}
	if err := check(d); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Printf("ok: %d records, %d older trees\n", len(d.Records), len(d.Older))
}
