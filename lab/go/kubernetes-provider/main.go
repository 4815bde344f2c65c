// Command pulumi-resource-kubernetes is Pulumi's Kubernetes provider, built from its Go module.
//
// Upstream embeds its schema at build time from files that its own Makefile makes. Here the two files lie
// beside the binary (the lab's build puts them there), so this source needs no generated file.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/provider"
	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/version"
)

func main() {
	schema, mapping, err := readBeside("schema.json", "terraform-mapping.json")
	if err != nil {
		fmt.Fprintln(os.Stderr, "pulumi-resource-kubernetes:", err)
		os.Exit(1)
	}
	provider.Serve("kubernetes", version.Version, schema, mapping)
}

// readBeside reads two files from the folder that the running binary really lies in, following links.
func readBeside(first, second string) (a, b []byte, err error) {
	binary, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	if binary, err = filepath.EvalSymlinks(binary); err != nil {
		return nil, nil, err
	}
	folder := filepath.Dir(binary)
	if a, err = os.ReadFile(filepath.Join(folder, first)); err != nil {
		return nil, nil, err
	}
	b, err = os.ReadFile(filepath.Join(folder, second))
	return a, b, err
}
