// Command argocd is every Argo CD program that the lab runs, in one binary.
//
// The first argument names the program; the rest are that program's own arguments.
package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	controller "github.com/argoproj/argo-cd/v3/cmd/argocd-application-controller/commands"
	applicationset "github.com/argoproj/argo-cd/v3/cmd/argocd-applicationset-controller/commands"
	reposerver "github.com/argoproj/argo-cd/v3/cmd/argocd-repo-server/commands"
	"github.com/spf13/cobra"
)

// programs builds a command only when it is asked for: building one reads its environment variables.
var programs = map[string]func() *cobra.Command{
	"application-controller":    controller.NewCommand,
	"applicationset-controller": applicationset.NewCommand,
	"repo-server":               reposerver.NewCommand,
}

func main() {
	if len(os.Args) > 1 {
		if program, known := programs[os.Args[1]]; known {
			command := program()
			command.SetArgs(os.Args[2:])
			if command.Execute() != nil {
				os.Exit(1) // cobra has said why
			}
			return
		}
	}
	names := strings.Join(slices.Sorted(maps.Keys(programs)), ", ")
	fmt.Fprintf(os.Stderr, "usage: argocd PROGRAM [ARGUMENT ...], with PROGRAM one of %s\n", names)
	os.Exit(2)
}
