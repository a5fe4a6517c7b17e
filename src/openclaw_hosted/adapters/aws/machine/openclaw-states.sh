#!/bin/bash
# How a user's state comes to a machine from an older system, and back, and how an archive of it leaves and comes: `openclaw_states VERB key=value ...`. Sent after openclaw-machine.sh,
# whose functions and exit codes it uses, and only with commands: user data has no room for it.
# A parcel is a tar; see adapters/local/states/parcels.py. Whoever has its address can read it: that comes from a secret for this machine.
# shellcheck disable=SC2015,SC2034,SC2086,SC2154 # as there, and openclaw-machine.sh sets and uses the variables
readonly OC_INCOMING=$OC_VOLUME/incoming OC_PARCEL=$OC_VOLUME/parcel.tar OC_PARCEL_SECONDS=600
readonly OC_ARCHIVE=$OC_ROOT/archive.tar OC_ARCHIVE_KIB=4194304 OC_SPARE_KIB=1048576

openclaw_states() {
  (oc_states "$@")
}

oc_states() {
  set -u -o pipefail
  umask 077
  export LC_ALL=C HOME=${HOME:-/root}
  instance='' volume='' from='' fresh=0 secret='' region='' mark='' sum='' whole=0 last=0
  verb=${1:-}
  case $verb in
    deliver) oc_values 'instance volume mark secret sum whole last' '' "${@:2}" ;;
    install) oc_values 'instance volume mark' '' "${@:2}" ;;
    bring) fresh=1 && oc_values 'instance volume mark secret sum' '' "${@:2}" ;;
    fetch | archive) oc_values 'instance volume secret' '' "${@:2}" ;;
    *) oc_fail 2 "usage: openclaw_states deliver|install|bring|fetch|archive key=value ..." ;;
  esac
  mkdir -p "$OC_VOLUME" || exit 9
  oc_environment
  exec 9>"$OC_ROOT/lock"
  flock -w $((OC_STOP_SECONDS + 70)) 9 || oc_fail 9 'another command holds the machine'
  [[ $verb == archive ]] || oc_mount
  "oc_state_$verb"
}

oc_parcel_address() {
  local answer
  answer=$(oc_secret) || exit $?
  oc_field SecretString <<<"$answer" | base64 -d || oc_fail 9 'the address of the parcel can not be read'
}

oc_transfer() { # CURL'S OPTIONS: to or from the parcel's address
  local url
  url=$(oc_parcel_address) || exit $?
  printf 'url = "%s"\n' "$url" | oc_curl --fail --max-time $OC_PARCEL_SECONDS "$@" >/dev/null || oc_fail 9 'the parcel can not be moved now'
}

oc_is_installed() {
  [[ $(cat "$OC_VOLUME/migrated" 2>/dev/null) == "$mark" ]]
}

oc_state_deliver() {
  ! oc_is_installed || return 0
  rm -f "$OC_VOLUME/delivered"
  ((!whole)) || rm -rf "$OC_INCOMING"
  oc_transfer --output "$OC_PARCEL"
  [[ $(sha256sum <"$OC_PARCEL" | cut -c 1-64) == "$sum" ]] || oc_fail 9 'the parcel is not what was sent'
  mkdir -p "$OC_INCOMING/content" && find "$OC_INCOMING/content" -type l -delete &&
    tar -C "$OC_INCOMING" -xf "$OC_PARCEL" --no-same-owner 2>/dev/null || oc_fail 4 'the parcel can not be unpacked over what is here'
  rm -f "$OC_PARCEL"
  cd "$OC_INCOMING/content" || exit 9
  oc_here | comm -z -23 - ../keep | sort -zr | xargs -0r rm -d -- || oc_fail 9 'what is no longer there can not be removed'
  [[ $(oc_here | comm -z -3 - ../keep | wc -c) == 0 ]] || oc_fail 4 'the files here are not those that were sent'
  [[ ! -s ../sums ]] || sha256sum --check --strict --quiet ../sums >/dev/null 2>&1 || oc_fail 4 'the files here do not hold what was sent'
  oc_put "$OC_VOLUME/delivered" <<<"$mark $last"
}

oc_here() {
  find . -mindepth 1 -print0 | sort -z
}

oc_state_install() { # done again after a crash at any line, it ends the same
  ! oc_is_installed || return 0
  [[ $(cat "$OC_VOLUME/delivered" 2>/dev/null) == "$mark 1" ]] || oc_fail 4 'nothing was delivered for this attempt'
  local state=$OC_VOLUME/state before=$OC_VOLUME/replaced content=$OC_INCOMING/content
  if [[ -d $content ]]; then
    [[ -e $content/openclaw.json ]] || oc_bring_configuration "$state" "$content"
    chown -R $OC_UID:$OC_UID "$content" && chmod 700 "$content" || oc_fail 9 'the files can not be given to the gateway'
    [[ ! -e $state ]] || { rm -rf "$before" && mv -T "$state" "$before"; } || oc_fail 9 'the state that is here can not be set aside'
    mv -T "$content" "$state" || oc_fail 9 'the state can not be put in its place'
  fi
  oc_put "$OC_VOLUME/migrated" <<<"$mark"
  rm -rf "$before" "$OC_INCOMING" "$OC_VOLUME/delivered"
}

oc_bring_configuration() { # FROM TO: a gateway wrote it, so it is not followed through a link
  local kept
  kept=$(dd if="$1/openclaw.json" iflag=nofollow,nonblock bs=1M count=4 2>/dev/null) && [[ $kept == '{'* ]] ||
    oc_fail 9 'the gateway here has no configuration yet'
  oc_put "$2/openclaw.json" <<<"$kept"
}

oc_state_bring() { # what a user brought becomes the content of a new volume. Done again after a crash at any line, it ends the same
  local each
  [[ $(cat "$OC_VOLUME/brought" 2>/dev/null) != "$mark" ]] || return 0
  if [[ $(cat "$OC_VOLUME/bringing" 2>/dev/null) != "$mark" ]]; then
    [[ -z $(find "$OC_VOLUME/state" "$OC_VOLUME/home" -mindepth 1 -print -quit) ]] || oc_fail 4 "volume $volume holds data already"
    oc_put "$OC_VOLUME/bringing" <<<"$mark"
  fi
  rm -rf "$OC_INCOMING" && mkdir "$OC_INCOMING" || oc_fail 9 'what came before can not be removed'
  oc_transfer --output "$OC_PARCEL"
  [[ $(sha256sum <"$OC_PARCEL" | cut -c 1-64) == "$sum" ]] || oc_fail 9 'the parcel is not what was sent'
  tar -C "$OC_INCOMING" -xf "$OC_PARCEL" --no-same-owner 2>/dev/null || oc_fail 9 'the volume has no room for what was brought'
  rm -f "$OC_PARCEL"
  chown -R $OC_UID:$OC_UID "$OC_INCOMING" || oc_fail 9 'the files can not be given to the gateway'
  for each in state home; do
    rm -rf "${OC_VOLUME:?}/$each" && mv -T "$OC_INCOMING/$each" "$OC_VOLUME/$each" || oc_fail 9 'the files can not be put in their place'
  done
  oc_put "$OC_VOLUME/brought" <<<"$mark"
  rm -rf "$OC_INCOMING" "$OC_VOLUME/bringing"
}

oc_state_fetch() { # exit code 1 of tar: a file changed meanwhile. What the gateway rests for, the copy is checked for elsewhere
  tar -C "$OC_VOLUME/state" -cf "$OC_PARCEL" . 2>/dev/null
  (($? < 2)) || { rm -f "$OC_PARCEL" && oc_fail 9 'the volume has no room for a copy of the state'; }
  oc_transfer --upload-file "$OC_PARCEL"
  echo "sum=$(sha256sum <"$OC_PARCEL" | cut -c 1-64)"
  rm -f "$OC_PARCEL"
}

# --- an archive: what the gateway has now, while it runs ---

oc_state_archive() { # on the machine's own disk, so that the volume needs no room, and may go while it is sent
  exec 8>"$OC_ROOT/archive.lock"
  flock -n 8 || oc_fail 9 'an archive of this instance is being made'
  oc_mounted && [[ $(cat "$OC_VOLUME/instance-id" 2>/dev/null) == "$instance" ]] || oc_fail 9 'the instance is not on its machine now'
  trap 'rm -f "$OC_ARCHIVE"; flock -u 8' EXIT # what thaws, if need be, still has the file open
  rm -f "$OC_ARCHIVE"
  local room
  room=$(($(df -k --output=avail "$OC_ROOT" | tail -n 1) - OC_SPARE_KIB))
  ((room <= OC_ARCHIVE_KIB)) || room=$OC_ARCHIVE_KIB
  ((room > 0)) || oc_fail 9 'the machine has no room for an archive'
  [[ -z $(cd "$OC_VOLUME" && find state home -type f -size +"${room}k" -print -quit 2>/dev/null) ]] || oc_fail 9 "a file is larger than $((room / 1024)) MiB"
  oc_pack_databases
  oc_pack 60 -rf "$OC_ARCHIVE" --sort=name --anchored --exclude=state/cache --exclude=state/tmp --exclude=home/.cache \
    --exclude=home/.npm/_cacache state home </dev/null || oc_fail 9 "the instance holds more than $((room / 1024)) MiB, or too many files"
  flock -u 9
  oc_transfer --upload-file "$OC_ARCHIVE"
  stat -c size=%s "$OC_ARCHIVE"
}

oc_pack() { # SECONDS, TAR'S OPTIONS: exit code 1 of tar: a file changed meanwhile. Nothing else may stay in the volume, which would be busy
  (cd "$OC_VOLUME" && ulimit -f "$room" && timeout -s KILL "$1" tar --hard-dereference --ignore-failed-read "${@:2}") >/dev/null 2>&1 8>&- 9>&-
  (($? < 2))
}

oc_pack_databases() { # as they are at one moment, each with its log, which nobody writes to while the file system is frozen
  local packed=0
  seconds=20
  oc_freeze
  oc_pack 15 -cf "$OC_ARCHIVE" --no-recursion --null -T - < <(oc_databases) || packed=9
  fsfreeze --unfreeze "$OC_VOLUME" 2>/dev/null && ((packed == 0)) || oc_fail 9 'the databases are too large to be copied at one moment'
}

oc_databases() { # all that are named so, or have a log or a journal
  local name each
  cd "$OC_VOLUME" || return
  printf 'state\0home\0'
  find state home -type f \( -name '*.sqlite' -o -name '*.sqlite3' -o -name '*.db' -o -name '*-wal' -o -name '*-journal' \) -print0 |
    sed -zE 's/-(wal|journal)$//' | sort -zu | while IFS= read -rd '' name; do
    for each in "$name" "$name-wal" "$name-journal"; do
      [[ -f $each && ! -L $each ]] && printf '%s\0' "$each"
    done
  done
}
