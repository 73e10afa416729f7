// Pins cert-manager, whose CustomResourceDefinitions let clusterctl install certificates without running cert-manager.
module ts-provider/hack/stack/cert-manager

go 1.26.0

require github.com/cert-manager/cert-manager v1.21.2
