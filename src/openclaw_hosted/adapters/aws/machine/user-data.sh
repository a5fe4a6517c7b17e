#!/bin/bash
# The first boot of a machine: image and Docker, then the gateway of the instance id that it is reserved for, so that it is hot before
# it has a user. What is between at signs is filled in by adapters/aws/user_data.py, a made-up id for the real one, which is known here only.
set -u -o pipefail
umask 077
readonly HERE=${OPENCLAW_HOST:-}/var/lib/openclaw
mkdir -p "$HERE"
base64 -d <<'END' | gzip -d >"$HERE/openclaw-machine.sh" || exit 9
@SCRIPT@
END
# shellcheck source=src/openclaw_hosted/adapters/aws/machine/openclaw-machine.sh
. "$HERE/openclaw-machine.sh"
readonly IMAGE='@IMAGE@' SECRET='@SECRET@' ID='@ID@' LOG='@LOG@' WAIT_SECONDS=1800 LONGEST_PAUSE=10
IFS= read -r CONFIG <<'END'
@CONFIG@
END

within() { # COMMAND...: again and again, ever more slowly, until it succeeds
  local until=$((SECONDS + WAIT_SECONDS)) pause=1
  until "$@"; do
    ((SECONDS < until)) || return 1
    sleep $pause
    ((pause >= LONGEST_PAUSE)) || ((pause += 1))
  done
}

reserved() { # the tag that the machine was launched with, or got when it was adopted
  instance=$(oc_imds tags/instance/ReservedInstanceId) && [[ $instance == oc-* ]]
}

own_volume() { # the first EBS disk that does not hold the root
  local disk
  for disk in "$OC_HOST"/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol*; do
    [[ -e $disk && $disk =~ _vol([0-9a-f]+)$ ]] || continue
    lsblk -nro MOUNTPOINT "$disk" 2>/dev/null | grep -qx / && continue
    volume=vol-${BASH_REMATCH[1]}
    return 0
  done
  return 1
}

started() { # the secret becomes readable after the launch only; what can't change ends the waiting
  openclaw_machine start "instance=$instance" generation=0 "volume=$volume" fresh=1 "image=$IMAGE" "secret=${SECRET//$ID/$instance}" \
    "config=$(base64 -w 0 <<<"${CONFIG//$ID/$instance}")" ${LOG:+"log=$LOG"}
  local code=$?
  case $code in
    0 | 3) return 0 ;;
    2 | 4) exit $code ;;
    *) return 1 ;;
  esac
}

oc_environment
within openclaw_machine prepare "image=$IMAGE" || exit 7
within reserved || exit 8
within own_volume || exit 5
within started
