// SPDX-License-Identifier: Apache-2.0

/** Packages of the distribution and of upstream, in words that all families know: `name` or `name=version`. */
export const PACKAGES = String.raw`
rpm_tool() { if have dnf; then say dnf; else say yum; fi; }
package_version() {
  case "$family" in
    debian)
      version_line=$(dpkg-query -W -f='${'$'}{db:Status-Status} ${'$'}{Version}' "$1" 2>/dev/null) || return 1
      case "$version_line" in installed\ *) say "${'$'}{version_line#installed }" ;; *) return 1 ;; esac
      ;;
    rhel | suse) rpm -q --qf '%{VERSION}-%{RELEASE}\n' "$1" 2>/dev/null | grep -v ' ' ;;
    *) return 1 ;;
  esac
}
# Name, version as upstream has it, whole or its first parts: whether that is what is installed.
has_package() {
  has_version=$(package_version "$1") || return 1
  has_version=${'$'}{has_version#*:}
  case "$has_version" in
    "$2" | "$2"[-.~+]*) return 0 ;;
  esac
  [ -z "$2" ]
}
# The line of what a program of packages said that tells most. Those of apt that begin with E: have all of it in one line.
telling_line() {
  printf '%s\n' "$package_said" | awk '
    /^ *$/ || /^Error: *$/ { next }
    { last = $0 }
    / nothing provides / && apt == "" { apt = $0; sub(/^ *- /, "", apt) }
    /^E: / && apt == "" { apt = $0 }
    tolower($0) ~ /^(error|problem|no match|no provider)|not found|gpg check|signature|curl error|no space|cannot|could not|failed/ && best == "" { best = $0 }
    END { print apt != "" ? apt : best != "" ? best : last }'
}
# dnf names a repository by its id alone.
repository_url() {
  repository_id=$(printf '%s\n' "$package_said" | sed -n "s/.* repo '\([^']*\)'.*/\1/p" | head -n 1)
  [ -n "$repository_id" ] || return 0
  repository_at=$(sed -n "/^\[$repository_id\]/,/^baseurl/s/^baseurl *= *//p" /etc/yum.repos.d/*.repo 2>/dev/null | head -n 1)
  [ -z "$repository_at" ] || printf '%s' " ($(hide "$repository_at"))"
}
# Ends the step with the reason of what a program of packages said; word: what was to be done.
package_failed() {
  ! package_full=$(full_folder) || no_space_on "$package_full"
  package_line=$(hide "$(telling_line)")
  case "$package_said" in
    *'No space left'* | *'not have enough free space'* | *'more space needed'* | *'not enough space'*)
      failed DiskFull "$1: $package_line"
      ;;
    *NO_PUBKEY* | *'EXPKEYSIG'* | *'BADSIG'* | *'is not signed'* | *"signatures couldn't be verified"* | *"signatures were invalid"* | *'GPG check FAILED'* | *'key import failed'* | *'is not installed. Failing package'* | *'Signature verification failed'* | *'OpenPGP check'* | *'signed with an unknown key'* | *'Missing key'* | *'Sub-process /usr/bin/sqv'* | *'Failed to retrieve GPG key'*)
      failed RepositoryUntrusted "$1: the key of the repository is missing or wrong: $package_line"
      ;;
    *'Hash Sum mismatch'* | *"hash doesn't match"* | *'checksum doesn'* | *'Checksum'*mismatch*)
      failed ChecksumMismatch "$1: $package_line"
      ;;
    *' 407 '* | *'Proxy Auth'* | *'code 407'* | *'response 407'* | *'resolve proxy'* | *'from proxy'* | *'to proxy'*)
      failed ProxyFailed "$1: the proxy $(hide "${'$'}{https_proxy:-$http_proxy}"): $package_line"
      ;;
  esac
  package_proxy=${'$'}{https_proxy:-$http_proxy}
  case "$package_said" in
    *'onnection refused'* | *'ould not connect'* | *'nable to connect'* | *'ouldn'?'t connect'* | *'ould not resolve'* | *'ouldn'?'t resolve'* | *'emporary failure resolving'*)
      if [ -n "$package_proxy" ]; then
        case "$package_said" in
          *"$(host_of "$package_proxy")"*) failed ProxyFailed "$1: the proxy $(hide "$package_proxy"): $package_line" ;;
        esac
      fi
      failed ArtifactsUnreachable "$1: $package_line$(repository_url)"
      ;;
    *'imed out'* | *'Failed to fetch'* | *'ailed to download metadata'* | *'Cannot download'* | *'Curl error'* | *'does not have a Release file'* | *'Download (curl) error'* | *'Valid metadata not found'* | *'Failure: Download'*)
      failed ArtifactsUnreachable "$1: $package_line$(repository_url)"
      ;;
    *'Unable to locate package'* | *'was not found'* | *'no installation candidate'* | *'unmet dependencies'* | *'nable to find a match'* | *'No match for argument'* | *'not found in package names'* | *'No provider of'* | *'othing provides'* | *'not installable'* | *'is not available'*)
      failed PackageUnavailable "$1: $package_line$(package_offers)"
      ;;
  esac
  failed PreparationFailed "$1: exit code $package_code: $package_line"
}
# What there is of the packages that were asked for.
package_offers() {
  for offer in $package_wanted; do
    case "$family" in
      debian) offered=$(apt-cache madison "${'$'}{offer%%=*}" 2>/dev/null | awk '{ print $3 }' | head -n 5 | tr '\n' ' ') ;;
      rhel) offered=$("$(rpm_tool)" -q --cacheonly --disableexcludes=all repoquery --qf '%{version}-%{release} ' "${'$'}{offer%%=*}" 2>/dev/null | tail -n 5 | tr '\n' ' ') ;;
      suse) offered=$(zypper --non-interactive --no-refresh search -s --match-exact "${'$'}{offer%%=*}" 2>/dev/null | awk -F '|' 'NR > 4 { print $4 }' | head -n 5 | tr -s ' \n' ' ') ;;
    esac
    printf '%s' "; of ${'$'}{offer%%=*} there is ${'$'}{offered:-nothing}"
  done
}
# What is to be done, command: says what it said.
package_run() {
  package_doing=$1
  shift
  package_said=$("$@" 2>&1 </dev/null)
  package_code=$?
  printf '%s\n' "$package_said"
  [ "$package_code" = 0 ]
}
# No question is asked, no service that is not ours is restarted, and somebody else's run is waited for.
apt_run() {
  apt_doing=$1
  shift
  apt_tries=0
  while ! package_run "$apt_doing" env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 UCF_FORCE_CONFFOLD=1 \
    apt-get -y -q -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@"; do
    apt_tries=$(( apt_tries + 1 ))
    case "$apt_tries:$package_said" in
      [1-9]:*'ould not get lock'* | [1-9]:*'nable to lock'*) sleep 10 ;;
      *) return 1 ;;
    esac
  done
}
# What a run that was interrupted left half done.
mend_packages() {
  [ "$family" = debian ] || return 0
  if [ -n "$(dpkg --audit 2>/dev/null)" ] || ls /var/lib/dpkg/updates/[0-9]* >/dev/null 2>&1; then
    package_run 'mending packages' env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 dpkg --force-confdef --force-confold --configure -a ||
      ! package_full=$(full_folder) || no_space_on "$package_full"
  fi
}
refresh_packages() {
  case "$family" in
    debian)
      apt_run 'reading the lists of packages' update -o APT::Update::Error-Mode=any || package_failed 'reading the lists of packages'
      # Old ones end well although a list could not be fetched.
      case "$package_said" in *'W: Failed to fetch'* | *'W: GPG error'*) package_failed 'reading the lists of packages' ;; esac
      ;;
    rhel) package_run 'reading the lists of packages' "$(rpm_tool)" -y -q makecache || package_failed 'reading the lists of packages' ;;
    suse)
      package_run 'reading the lists of packages' env ZYPP_LOCK_TIMEOUT=300 zypper --non-interactive --no-color refresh ||
        package_failed 'reading the lists of packages'
      ;;
  esac
}
# Names; those that are not there yet are noted, for apt with everything that comes along.
note_packages() {
  for noted in "$@"; do
    package_version "$noted" >/dev/null || note_installed package "$noted"
  done
}
apt_install() {
  apt_plan=$(apt-get -s -q "$@" 2>/dev/null | awk '$1 == "Inst" && $3 !~ /^\[/ { print $2 }')
  note_packages $apt_plan
  apt_run "installing $package_wanted" "$@"
}
# Packages of repositories: name, or name=version as upstream has it, of which the last parts may be left away.
install_packages() {
  package_wanted=$*
  mend_packages
  case "$family" in
    debian)
      for wanted in "$@"; do
        shift
        case "$wanted" in *=*.*.*) wanted=$wanted-\* ;; *=*) wanted=$wanted.\* ;; esac
        set -- "$@" "$wanted"
      done
      set -- install --no-install-recommends --allow-downgrades --allow-change-held-packages "$@"
      if ! apt_install "$@"; then
        # Lists grow old: what they name is gone from the server.
        case "$package_said" in *'404  Not Found'* | *'Unable to locate'* | *'was not found'*) refresh_packages ;; *) package_failed "installing $package_wanted" ;; esac
        apt_install "$@" || package_failed "installing $package_wanted"
      fi
      ;;
    rhel)
      for wanted in "$@"; do
        shift
        note_packages "${'$'}{wanted%%=*}"
        case "$wanted" in *=*.*.*) wanted=$(printf '%s' "$wanted" | tr = -) ;; *=*) wanted=$(printf '%s' "$wanted" | tr = -).\* ;; esac
        set -- "$@" "$wanted"
      done
      case "$("$(rpm_tool)" --version 2>/dev/null)" in
        *dnf5*) set -- --setopt=disable_excludes=* "$@" ;;
        *) set -- --disableexcludes=all "$@" ;;
      esac
      package_run "installing $package_wanted" "$(rpm_tool)" -y -q install "$@" || package_failed "installing $package_wanted"
      ;;
    suse)
      for wanted in "$@"; do note_packages "${'$'}{wanted%%=*}"; done
      package_run "installing $package_wanted" env ZYPP_LOCK_TIMEOUT=300 zypper --non-interactive --no-color install \
        --no-recommends --oldpackage --force-resolution --auto-agree-with-licenses "$@" || package_failed "installing $package_wanted"
      ;;
    *) failed PackageUnavailable "$os_name has no packages ($package_wanted): take artifacts" ;;
  esac
}
# Files of packages, all at once; no repository is asked.
install_package_files() {
  package_wanted='packages of the artifacts'
  case "$family" in
    debian)
      apt_install -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts=/dev/null \
        install --no-install-recommends --allow-downgrades --allow-change-held-packages "$@"
      ;;
    rhel) package_run "installing $package_wanted" "$(rpm_tool)" -y -q --disablerepo='*' --nogpgcheck install "$@" ;;
    suse)
      package_run "installing $package_wanted" env ZYPP_LOCK_TIMEOUT=300 zypper --non-interactive --no-color --no-refresh --disable-repositories \
        install --no-recommends --oldpackage --allow-unsigned-rpm --auto-agree-with-licenses "$@"
      ;;
    *) failed PackageUnavailable "$os_name takes no packages" ;;
  esac || {
    package_wanted=
    package_failed 'installing packages of the artifacts'
  }
}
# Nothing but us changes the version of these. dnf and yum have it in the file of the repository.
hold() {
  case "$family" in
    debian) apt-mark hold "$@" >/dev/null || unwritten "apt-mark hold $* failed" ;;
    suse) zypper --non-interactive --no-color addlock "$@" >/dev/null || unwritten "zypper addlock $* failed" ;;
  esac
}
release_hold() {
  case "$family" in
    debian) apt-mark unhold "$@" >/dev/null 2>&1 ;;
    suse) zypper --non-interactive --no-color removelock "$@" >/dev/null 2>&1 ;;
  esac
  return 0
}
is_held() {
  case "$family" in
    debian) held=$(apt-mark showhold) ;;
    suse) held=$(zypper --non-interactive --no-color --no-refresh locks | awk -F '|' '{ gsub(/ /, "", $2); print $2 }') ;;
    *) return 0 ;;
  esac
  for holding in "$@"; do printf '%s\n' "$held" | grep -Fxq -- "$holding" || return 1; done
}
`;
