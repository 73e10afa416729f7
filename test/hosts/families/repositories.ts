// SPDX-License-Identifier: Apache-2.0
// Repositories of rpms as upstream and distributions lay them out, made and served inside of a private host. The programs in the packages are
// stand-ins: what is tried is how packages are found, trusted, installed, held and exchanged.

/** Where they are served, in the network of the private host. */
export const SERVER = 'http://127.0.0.1:8099';

/** Of `v1.36`; the second is a patch release that nobody asks for. */
export const VERSIONS = ['1.36.3', '1.36.4'] as const;

/** Of `v1.35`. */
export const OLDER = '1.35.4';

/** What distributions have, by family. */
const DISTRIBUTION = {
  rhel: 'conntrack-tools ethtool iproute iproute-tc iptables kmod socat util-linux chrony filesystem',
  suse: 'conntrack-tools ebtables ethtool iproute2 iptables kmod socat util-linux chrony filesystem',
} as const;

const SPEC = String.raw`
# name, version, text of the spec behind the description
build() {
  mkdir -p /srv/build
  {
    printf 'Name: %s\nVersion: %s\nRelease: 150500.1.1\nSummary: stand-in\nLicense: Apache-2.0\nBuildArch: noarch\nAutoReqProv: no\n' "$1" "$2"
    printf '%s\n' "$3"
  } >/srv/build/spec
  rpmbuild -bb --quiet --define '_topdir /srv/build' --define '_build_id_links none' /srv/build/spec >/srv/build/log 2>&1 || { cat /srv/build/log >&2; exit 1; }
}
# path, lines of a program
program() { printf 'mkdir -p %%{buildroot}%s\ncat >%%{buildroot}%s <<"END"\n#!/bin/sh\n%s\nEND\nchmod 755 %%{buildroot}%s\n' "$(dirname "$1")" "$1" "$2" "$1"; }
unit() { printf 'mkdir -p %%{buildroot}/usr/lib/systemd/system\nprintf "[Service]\\nExecStart=/usr/bin/%s\\n[Install]\\nWantedBy=multi-user.target\\n" >%%{buildroot}/usr/lib/systemd/system/%s.service\n' "$1" "$1"; }
package() { printf '%%package -n %s\nSummary: stand-in\nAutoReqProv: no\n%s\n%%description -n %s\n-\n%%files -n %s\n%s\n' "$1" "$3" "$1" "$1" "$2"; }
publish() { # folder
  mkdir -p "$1"
  mv /srv/build/RPMS/noarch/*.rpm "$1"/
  rpmsign --define '__gpg /usr/bin/gpg' --define '_gpg_name repositories' --addsign "$1"/*.rpm >/srv/build/log 2>&1 || { cat /srv/build/log >&2; exit 1; }
  createrepo_c --quiet "$1"
  gpg --batch --yes --detach-sign --armor "$1/repodata/repomd.xml"
  cp /srv/key.asc "$1/repodata/repomd.xml.key"
}
kubernetes() { # version
  build kubernetes "$1" "%description
-
$(package kubelet '/usr/bin/kubelet
/usr/lib/systemd/system/kubelet.service' 'Requires: kubernetes-cni')
$(package kubeadm /usr/bin/kubeadm 'Requires: cri-tools')
$(package kubectl /usr/bin/kubectl '')
$(package cri-tools /usr/bin/crictl '')
$(package kubernetes-cni /opt/cni/bin/loopback '')
%install
$(for name in kubelet kubectl; do program "/usr/bin/$name" "echo Kubernetes v$1"; done)
$(program /usr/bin/kubeadm 'case "$1" in config) echo registry.k8s.io/pause:3.10.2 ;; *) echo v'"$1"' ;; esac')
$(program /usr/bin/crictl 'exit 1')
$(program /opt/cni/bin/loopback 'exit 0')
$(unit kubelet)"
}
runtime() { # package
  build "$1" 2.2.3 "%description
-
%files
/usr/bin/containerd
/usr/bin/runc
/usr/lib/systemd/system/containerd.service
%install
$(program /usr/bin/containerd 'echo containerd example.org/containerd v2.2.3')
$(program /usr/bin/runc 'exit 0')
$(unit containerd)"
}
distribution() { # names
  build distribution 1 "%description
-
$(for name; do package "$name" '' ''; done)"
}
`;

/** Makes and serves them. */
export const MAKE_REPOSITORIES = String.raw`
export HOME=/srv GNUPGHOME=/srv/gpg
mkdir -p -m 700 /srv/gpg
# What belongs to others on this computer is not there.
rm -rf /etc/yum.repos.d /etc/zypp/repos.d /etc/dnf/dnf.conf /usr/bin/kubelet /usr/bin/kubeadm /usr/bin/kubectl /usr/bin/containerd /usr/bin/runc /usr/sbin/runc /usr/bin/crictl
mkdir -p /etc/yum.repos.d /etc/zypp/repos.d /etc/dnf /etc/pki
for name in repositories others; do
  gpg --batch --quiet --passphrase '' --quick-generate-key "$name" rsa2048 sign never 2>/dev/null
done
gpg --armor --export repositories >/srv/key.asc
gpg --armor --export others >/srv/other.asc
${SPEC}
web=/srv/web
${VERSIONS.map((version) => `kubernetes ${version}`).join('\n')}
publish $web/v1.36/rpm
kubernetes ${OLDER}
publish $web/v1.35/rpm
runtime containerd.io
publish $web/centos/9/$(uname -m)/stable
cp /srv/key.asc $web/centos/gpg
distribution ${DISTRIBUTION.rhel}
publish $web/rhel
runtime containerd
distribution ${DISTRIBUTION.suse}
publish $web/suse
cd $web
/usr/bin/python3 -m http.server --bind 127.0.0.1 8099 >/tmp/served 2>&1 </dev/null &
while ! /usr/bin/python3 -c 'import socket; socket.create_connection(("127.0.0.1", 8099))' 2>/dev/null; do sleep 0.1; done
`;

/** The system says what it is, and has its own repository. */
export function becomeSystem(osRelease: string, family: 'rhel' | 'suse'): string {
  const folder = { rhel: '/etc/yum.repos.d', suse: '/etc/zypp/repos.d' }[family];
  return String.raw`
rm -f /etc/os-release
cat >/etc/os-release <<'END'
${osRelease}END
printf '[distribution]\nname=distribution\nbaseurl=${SERVER}/${family}\nenabled=1\ngpgcheck=0\n' >${folder}/distribution.repo
rpm --import /srv/key.asc
# A system without any package is none, and zypper stumbles over it.
rpm -i --nodeps /srv/web/${family}/filesystem-*.rpm 2>/dev/null
`;
}
