// Command manifests renders the Kubernetes files of this repository as kustomize and Helm do, and checks every object
// against the types of its API group. It prints the objects as JSON lists.
//
//	manifests kustomize FOLDER…
//	manifests helm CHART [VALUES.yaml…]
//	manifests files FILE…
//
// A field that the API does not have, or a value of another type, is an error.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "manifests:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) < 2 {
		return fmt.Errorf("use: manifests kustomize FOLDER… | helm CHART [VALUES.yaml…] | files FILE…")
	}
	var all [][]byte
	switch kind, paths := arguments[0], arguments[1:]; kind {
	case "kustomize":
		for _, folder := range paths {
			objects, err := kustomize(folder)
			if err != nil {
				return fmt.Errorf("%s: %w", folder, err)
			}
			all = append(all, objects)
		}
	case "helm":
		objects, err := helm(paths[0], paths[1:])
		if err != nil {
			return fmt.Errorf("%s: %w", paths[0], err)
		}
		all = append(all, objects)
	case "files":
		for _, file := range paths {
			objects, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			all = append(all, objects)
		}
	default:
		return fmt.Errorf("unknown kind %q", kind)
	}
	lists := make([][]any, 0, len(all))
	for _, objects := range all {
		list, err := decode(objects)
		if err != nil {
			return err
		}
		lists = append(lists, list)
	}
	return json.NewEncoder(os.Stdout).Encode(lists)
}
