#!/bin/sh
# Installs the Debian packages whose programs (or files) are missing, and says which. Arguments: program=package …
set -eu
missing=""
for pair in "$@"; do
  program=${pair%%=*}
  case "$program" in
    /*) [ -e "$program" ] && continue ;;
    ensurepip) python3 -c 'import ensurepip' 2>/dev/null && continue ;;
    *) PATH="$PATH:/usr/sbin:/sbin" command -v "$program" >/dev/null 2>&1 && continue ;;
  esac
  missing="$missing ${pair#*=}"
done
[ -n "$missing" ] || exit 0
echo "streamgap: installing Debian packages:$missing" >&2
if ! command -v apt-get >/dev/null 2>&1; then
  echo "streamgap: expected apt-get (Debian), found none; install by hand:$missing" >&2
  exit 1
fi
sudo=""
[ "$(id -u)" = 0 ] || sudo="sudo"
# A policy that refuses keeps Debian from starting the servers it installs: tests and demo start their own.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy" >/dev/null
  $sudo chmod +x "$policy"
  trap '$sudo rm -f "$policy"' EXIT
fi
$sudo apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
