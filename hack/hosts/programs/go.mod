// Programs of container images that exist only for tests: no dependencies, so nothing is fetched.
module ts-provider/hack/hosts/programs

go 1.26.0
