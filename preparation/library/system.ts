// SPDX-License-Identifier: Apache-2.0

/** What kind of system this is: `$os_id $os_version $os_codename $os_name`, `$family`, `$arch`, and `$bindir` for programs of ours. */
export const SYSTEM = String.raw`
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/bin
LC_ALL=C
export PATH LC_ALL
unset CDPATH
os_field() { sed -n "s/^$1=//p" "${'$'}{OS_RELEASE:-/etc/os-release}" 2>/dev/null | tail -n 1 | sed "s/^[\"']//; s/[\"']\$//"; }
os_id=$(os_field ID)
os_version=$(os_field VERSION_ID)
os_codename=$(os_field VERSION_CODENAME)
os_name=$(os_field PRETTY_NAME)
family=unknown
# The system itself first, then those that it says it is like.
for os_like in $os_id $(os_field ID_LIKE); do
  case "$os_like" in
    debian | ubuntu) family=debian ;;
    rhel | centos | fedora | rocky | almalinux | ol | amzn) family=rhel ;;
    suse | opensuse* | sles | sled | sle-micro | sl-micro) family=suse ;;
    flatcar) family=flatcar ;;
    *) continue ;;
  esac
  break
done
case "$(uname -m)" in
  x86_64 | amd64) arch=amd64 ;;
  aarch64 | arm64) arch=arm64 ;;
  *) arch=$(uname -m) ;;
esac
case "$family" in
  flatcar) bindir=/opt/bin ;;
  *) bindir=/usr/local/bin ;;
esac
`;
