#!/bin/bash
# What a machine does for the platform: `openclaw_machine VERB key=value ...`. Nothing runs until that is called.
# User data embeds this text; each Run Command sends all of it, so there is one version only: the sender's.
# Exit codes: 0 done, 2 usage, 3 older generation, 4 volume of another, 5 volume missing, 6 secret denied, 7 no image, 8 no gateway, 9 other.
# shellcheck disable=SC2015 # in `A && B || oc_fail`, failing is meant for both
# OPENCLAW_HOST is a folder that stands for the root of the machine; only a lab sets it.
readonly OC_NAME=openclaw-gateway OC_HOST=${OPENCLAW_HOST:-}
readonly OC_ROOT=${OPENCLAW_ROOT:-$OC_HOST/var/lib/openclaw}
readonly OC_VOLUME=$OC_ROOT/volume OC_SECRETS=$OC_ROOT/secrets OC_UID=1000 OC_BLOT=●●●
readonly OC_DISK_TRIES=${OPENCLAW_DISK_TRIES:-120} OC_STOP_SECONDS=330 OC_REFUSED=78 OC_NOTE=/tmp/openclaw-refused OC_LOG=/tmp/openclaw.jsonl
readonly OC_UNIT=$OC_HOST/etc/systemd/system/openclaw-machine.service
readonly OC_ENVIRONMENT=${OPENCLAW_ENVIRONMENT:-$OC_HOST/etc/openclaw-hosted/machine.env} OC_CERTIFICATES=/run/certificates.pem
readonly OC_LATER='Throttl|TooManyRequests|LimitExceeded|ExpiredToken|RequestExpired|InternalService'
readonly OC_FAILURE='Gateway failed to start|Gateway start blocked|Refusing to bind|EADDRINUSE|SECRETS_OWNER_UNAVAILABLE'
# In the container: the gateway reads its credentials from memory, where the platform can hand it newer ones while it runs.
readonly OC_TAKE='umask 077; cd /run/openclaw && cp ../openclaw-machine/secrets.json new && mv new secrets.json'
# The container's first process: passes TERM on, so that a turn may end, and keeps a refused configuration from being tried forever.
# OpenClaw prints replies to its standard output whatever the level, and warnings and errors to the other one: only those reach Docker.
# shellcheck disable=SC2016 # the container's shell expands it
readonly OC_WRAPPER="($OC_TAKE)
"'"$@" >/dev/null & gateway=$!
trap "kill -TERM $gateway 2>/dev/null" TERM INT
while wait $gateway; code=$?; [ $code -gt 128 ] && kill -0 $gateway 2>/dev/null; do :; done
[ $code = 78 ] || exit $code
trap "exit 78" TERM INT
(: >/tmp/openclaw-refused)
while :; do sleep 3600 & wait $!; done'

openclaw_machine() {
  (oc_main "$@")
}

oc_main() {
  set -u -o pipefail
  umask 077
  export LC_ALL=C HOME=${HOME:-/root}
  instance='' generation='' volume='' fresh=0 image='' secret='' config='' region='' log='' now=0 lines=200 patience=$((OC_STOP_SECONDS + 70))
  from='' seconds=20
  verb=${1:-}
  case $verb in
    prepare) oc_values 'image' 'region' "${@:2}" ;;
    start) oc_values 'instance generation volume image secret config' 'fresh from region log' "${@:2}" ;;
    freeze) oc_values '' 'seconds' "${@:2}" ;;
    secrets) oc_values 'instance generation secret' 'region' "${@:2}" ;;
    restart) oc_values '' 'now' "${@:2}" ;;
    logs) oc_values '' 'lines' "${@:2}" ;;
    stop | thaw | boot | revive | inspect | keep-config) oc_values '' '' "${@:2}" ;;
    *) oc_fail 2 "usage: openclaw_machine prepare|start|secrets|stop|restart|freeze|thaw|boot|revive|inspect|keep-config|logs key=value ..." ;;
  esac
  mkdir -p "$OC_VOLUME" || exit 9
  oc_environment
  [[ $verb != boot ]] || patience=5
  case $verb in
    inspect | logs) ;;
    *)
      exec 9>"$OC_ROOT/lock"
      flock -w $patience 9 || oc_fail 9 'another command holds the machine'
      ;;
  esac
  "oc_${verb//-/_}"
}

oc_fail() { # CODE MESSAGE
  printf '%s\n' "$2" >&2
  exit "$1"
}

oc_values() { # 'NEEDED KEYS' 'OTHER KEYS' KEY=VALUE...: sets the variable of each key
  local needed=" $1 " allowed=" $1 $2 " word key
  for word in "${@:3}"; do
    key=${word%%=*}
    [[ $word == *=* && $allowed == *" $key "* ]] || oc_fail 2 "$verb takes no $key"
    [[ ${word#*=} =~ $(oc_pattern "$key") ]] || oc_fail 2 "$key is not as it should be"
    printf -v "$key" %s "${word#*=}"
    needed=${needed/ $key / }
  done
  [[ $needed =~ ^\ *$ ]] || oc_fail 2 "$verb needs$needed"
}

oc_pattern() {
  case $1 in
    instance | from) echo '^oc-[a-z0-9]{4,20}$' ;;
    generation | lines | seconds) echo '^[0-9]{1,9}$' ;;
    volume) echo '^vol-[0-9a-f]{4,40}$' ;;
    fresh | now | whole | last) echo '^[01]$' ;;
    mark) echo '^[a-zA-Z0-9._@-]{1,200}$' ;;
    sum) echo '^[0-9a-f]{64}$' ;;
    image) echo '^[a-zA-Z0-9][a-zA-Z0-9._:/@-]+$' ;;
    secret) echo '^[a-zA-Z0-9/_+=.@:-]+$' ;;
    config) echo '^[a-zA-Z0-9+/]+=*$' ;;
    region) echo '^[a-z0-9-]+$' ;;
    log) echo '^[a-zA-Z0-9_./#-]{1,512}$' ;;
  esac
}

oc_put() { # FILE: its new content from standard input, whole or not at all
  cat >"$1.new" && sync "$1.new" && mv -fT "$1.new" "$1"
}

oc_known() { # KEY: what machine.env says of the gateway here
  sed -n "s/^$1=//p" "$OC_ROOT/machine.env" 2>/dev/null
}

oc_newer() { # notes the generation, unless a newer one was seen here
  local seen
  seen=$(cat "$OC_ROOT/generation" 2>/dev/null)
  ((10#$generation >= 10#${seen:-0})) || oc_fail 3 "generation $seen was here before generation $generation"
  oc_put "$OC_ROOT/generation" <<<"$generation"
}

# --- the metadata address and AWS ---

oc_curl() { # its configuration comes from standard input, as it holds keys
  curl --silent --show-error --noproxy '*' --connect-timeout 5 --max-time 20 --retry 3 --retry-connrefused --config - "$@" 2>/dev/null
}

oc_imds() { # PATH below latest/meta-data
  local url=${AWS_EC2_METADATA_SERVICE_ENDPOINT:-http://169.254.169.254}/latest token
  token=$(oc_curl --fail --request PUT "$url/api/token" <<<'header = "X-aws-ec2-metadata-token-ttl-seconds: 60"') || return 1
  printf 'header = "X-aws-ec2-metadata-token: %s"\n' "$token" | oc_curl --fail "$url/meta-data/$1"
}

oc_field() { # NAME: the plain text of this name in the JSON on standard input
  tr -d '\n' | sed -n "s/.*\"$1\" *: *\"\([^\"\\\\]*\)\".*/\1/p"
}

oc_aws() { # SERVICE HOST TARGET BODY: the answer; returns 6 where AWS says no, 1 where it can't be asked now
  local role keys endpoint answer
  region=${region:-${AWS_REGION:-$(oc_imds placement/region)}}
  role=$(oc_imds iam/security-credentials/) && keys=$(oc_imds "iam/security-credentials/${role%%$'\n'*}") || return 1
  if [[ -n ${AWS_USE_DUALSTACK_ENDPOINT:-} ]]; then endpoint=https://${2#api.}.$region.api.aws; else endpoint=https://$2.$region.amazonaws.com; fi
  endpoint=${AWS_ENDPOINT_URL:-$endpoint}
  answer=$({
    printf 'url = "%s/"\naws-sigv4 = "aws:amz:%s:%s"\n' "${endpoint%/}" "$region" "$1"
    printf 'user = "%s:%s"\n' "$(oc_field AccessKeyId <<<"$keys")" "$(oc_field SecretAccessKey <<<"$keys")"
    printf 'header = "X-Amz-Security-Token: %s"\n' "$(oc_field Token <<<"$keys")"
    printf 'header = "X-Amz-Target: %s"\nheader = "Content-Type: application/x-amz-json-1.1"\ndata = "%s"\n' "$3" "${4//\"/\\\"}"
  } | oc_curl --write-out '\n%{http_code}') || return 1
  case ${answer##*$'\n'} in
    200) printf %s "${answer%$'\n'*}" ;;
    4??) [[ $(oc_field __type <<<"$answer") =~ $OC_LATER ]] && return 1 || return 6 ;;
    *) return 1 ;;
  esac
}

oc_environment() {
  local line
  while IFS= read -r line; do
    [[ $line =~ ^(AWS_[A-Z0-9_]+)=(.*)$ && -z ${!BASH_REMATCH[1]:-} ]] && export "${BASH_REMATCH[1]}=${BASH_REMATCH[2]}"
  done 2>/dev/null <"$OC_ENVIRONMENT"
  return 0
}

oc_reach() { # with an IPv6 address and no public IPv4 one, AWS and the world are reached by IPv6: said to Docker, the agent and to us
  [[ -z ${AWS_USE_DUALSTACK_ENDPOINT:-} ]] && oc_imds ipv6 >/dev/null && ! oc_imds public-ipv4 >/dev/null || return 0
  oc_unless_there "$OC_HOST/etc/docker/daemon.json" docker \
    '{"ipv6": true, "fixed-cidr-v6": "fd0c:1a3e::/64", "ip6tables": true, "experimental": true}'
  oc_unless_there "$OC_HOST/etc/amazon/ssm/amazon-ssm-agent.json" amazon-ssm-agent '{"Agent": {"UseDualStackEndpoint": true}}'
  mkdir -p "${OC_ENVIRONMENT%/*}" && echo AWS_USE_DUALSTACK_ENDPOINT=true >>"$OC_ENVIRONMENT" || oc_fail 9 "$OC_ENVIRONMENT can not be written"
  export AWS_USE_DUALSTACK_ENDPOINT=true
}

oc_unless_there() { # FILE SERVICE TEXT: whoever made the machine image may have written another one
  [[ ! -e $1 ]] || return 0
  mkdir -p "${1%/*}" && oc_put "$1" <<<"$3" || oc_fail 9 "$1 can not be written"
  systemctl try-restart "$2" >/dev/null 2>&1 9>&-
  return 0
}

# --- the image ---

oc_prepare() {
  local tool tries
  oc_reach
  for tool in docker iptables curl mkfs.ext4; do
    command -v $tool >/dev/null || { oc_install && break; }
  done
  docker info >/dev/null 2>&1 || systemctl enable --now docker >/dev/null 2>&1 9>&-
  for tries in {1..60}; do
    docker info >/dev/null 2>&1 && break
    ((tries < 60)) || oc_fail 9 'Docker does not answer'
    sleep 1
  done
  oc_pull
}

oc_install() {
  if command -v dnf >/dev/null; then
    dnf install -y -q docker iptables-nft e2fsprogs
  else
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends docker.io iptables curl e2fsprogs
  fi >/dev/null 2>&1 || oc_fail 9 'Docker can not be installed'
}

oc_pull() {
  docker image inspect "$image" >/dev/null 2>&1 && return
  local login tries pulled=1
  login=$(mktemp -d) && oc_log_in "$login"
  for tries in 1 2 3; do
    DOCKER_CONFIG=$login docker pull -q "$image" >/dev/null 2>&1 && pulled=0 && break
    sleep "$tries"
  done
  rm -rf "$login"
  ((pulled == 0)) || oc_fail 7 "image $image can not be pulled"
}

oc_log_in() { # FOLDER: gets a Docker configuration with a token, where the registry is ECR's
  local host=${image%%/*} answer token own
  [[ $host =~ \.dkr[.-]ecr\.([a-z0-9-]+)\.(amazonaws|on)\. ]] || [[ -n ${AWS_ENDPOINT_URL:-} ]] || return 0
  answer=$(region=${BASH_REMATCH[1]:-$region} && oc_aws ecr api.ecr AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken '{}') || return 0
  token=$(oc_field authorizationToken <<<"$answer") own=$(oc_field proxyEndpoint <<<"$answer")
  [[ $host == *.dkr[.-]ecr.* || $own == *"://$host" ]] || return 0
  printf '{"auths":{"%s":{"auth":"%s"}}}' "$host" "$token" >"$1/config.json"
}

# --- the volume ---

oc_mounted() {
  mountpoint -q "$OC_VOLUME"
}

oc_mount() { # has the right volume mounted and marked
  local id=${volume/-/} disk tries mark
  disk=$OC_HOST/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_$id
  for ((tries = 0; ; tries++)); do
    [[ -e $disk ]] && break
    ((tries < OC_DISK_TRIES)) || oc_fail 5 "volume $volume is not attached"
    sleep 0.5
  done
  if oc_mounted && [[ $(mountpoint -d "$OC_VOLUME") != "$(mountpoint -x "$disk")" ]]; then
    oc_take_down
    oc_unmount
  fi
  if ! oc_mounted; then
    oc_format "$disk"
    mount -t ext4 -o nodev,nosuid,noatime "$disk" "$OC_VOLUME" 2>/dev/null ||
      { e2fsck -p "$(readlink -f "$disk")" >/dev/null 2>&1 && mount -t ext4 -o nodev,nosuid,noatime "$disk" "$OC_VOLUME"; } ||
      oc_fail 9 "volume $volume can not be mounted"
  fi
  mark=$(cat "$OC_VOLUME/instance-id" 2>/dev/null)
  if [[ -n $from && $mark == "$from" ]]; then
    oc_put "$OC_VOLUME/instance-id" <<<"$instance" || oc_fail 9 "volume $volume can not be written"
  elif [[ -z $mark ]]; then
    [[ -z $(ls -A -I lost+found -I instance-id -I instance-id.new "$OC_VOLUME") ]] || oc_refuse_volume 'holds data of nobody knows whom'
    oc_put "$OC_VOLUME/instance-id" <<<"$instance" || oc_fail 9 "volume $volume can not be written"
  elif [[ $mark != "$instance" ]]; then
    oc_refuse_volume "holds the data of $mark, not of $instance"
  fi
  chmod 700 "$OC_VOLUME" && mkdir -p "$OC_VOLUME/state" "$OC_VOLUME/home" && chown $OC_UID:$OC_UID "$OC_VOLUME/state" "$OC_VOLUME/home"
}

oc_refuse_volume() { # WHY
  [[ -n $(docker ps -aq --filter "name=^/$OC_NAME$") ]] || umount "$OC_VOLUME"
  oc_fail 4 "volume $volume $1"
}

oc_format() { # DISK: only one that is surely empty
  local found
  blkid -p "$1" >/dev/null 2>&1
  found=$?
  ((found == 0)) && return
  ((fresh)) || oc_fail 4 "volume $volume has no file system, and is not said to be fresh"
  ((found == 2)) && [[ $(head -c 1048576 "$1" | tr -d '\0' | wc -c) == 0 && $(head -c 1048576 "$1" | wc -c) == 1048576 ]] ||
    oc_fail 4 "volume $volume holds something, and is not formatted"
  mkfs.ext4 -q -m 0 "$1" >/dev/null 2>&1 || oc_fail 9 "volume $volume can not be formatted"
}

oc_freeze() { # all that was written is on the disk, and nothing more comes, until `thaw`, or for so many seconds at most
  oc_mounted || return 0
  sync -f "$OC_VOLUME"
  oc_thaw
  (sleep "$seconds" && fsfreeze --unfreeze "$OC_VOLUME") >/dev/null 2>&1 9>&- &
  fsfreeze --freeze "$OC_VOLUME" || oc_fail 9 "the volume can not be frozen"
}

oc_thaw() {
  fsfreeze --unfreeze "$OC_VOLUME" 2>/dev/null
  return 0
}

oc_unmount() {
  local tries device
  for tries in {1..20}; do
    oc_mounted || return 0
    umount "$OC_VOLUME" 2>/dev/null && return
    sleep 0.5
  done
  device=$(findmnt -no SOURCE "$OC_VOLUME")
  [[ -e $device ]] || umount -l "$OC_VOLUME" 2>/dev/null || oc_fail 9 "$device can not be unmounted"
  oc_mounted && oc_fail 9 "$device is in use and can not be unmounted"
  return 0
}

# --- the gateway ---

oc_start() {
  oc_newer
  docker image inspect "$image" >/dev/null 2>&1 || oc_prepare
  oc_outlive
  oc_close
  oc_mount
  local document mending=''
  if oc_is_refused; then
    mending=1
  elif oc_is_same; then
    return 0
  fi
  document=$(oc_secret) || exit $?
  oc_take_down
  [[ -z $mending ]] || oc_mend
  printf '%s\n%s' "$config" "$document" | oc_configure || exit $?
  oc_run
}

oc_is_same() { # a gateway runs here for this instance, volume and image
  [[ $(oc_fact '{{.State.Running}}') == true && \
    "$(oc_known instance) $(oc_known volume) $(oc_known image)" == "$instance $volume $image" ]]
}

oc_fact() { # FORMAT: of the container; nothing where there is none
  docker inspect --type container --format "$1" $OC_NAME 2>/dev/null
}

oc_is_refused() {
  local pid
  pid=$(oc_fact '{{.State.Pid}}')
  [[ ${pid:-0} != 0 && -e $OC_HOST/proc/$pid/root$OC_NOTE ]]
}

oc_take_down() {
  docker stop -t $OC_STOP_SECONDS $OC_NAME >/dev/null 2>&1
  docker rm -fv $OC_NAME >/dev/null 2>&1
  [[ $(docker ps -aq --filter "name=^/$OC_NAME$" 2>&1) == '' ]] || oc_fail 9 'the gateway can not be stopped'
}

oc_secret() { # what Secrets Manager answers
  local answer
  answer=$(oc_aws secretsmanager secretsmanager secretsmanager.GetSecretValue "{\"SecretId\":\"$secret\"}")
  case $? in
    0) printf %s "$answer" ;;
    6) oc_fail 6 "secret $secret is not there for this machine" ;;
    *) oc_fail 9 "secret $secret can not be fetched now" ;;
  esac
}

oc_configure() { # the image's own program writes configuration and credentials; standard input: see configure.mjs
  local problem
  install -d -o $OC_UID -g $OC_UID -m 700 "$OC_SECRETS"
  problem=$(docker run --rm -i --log-driver none --network none --user $OC_UID:$OC_UID --read-only --cap-drop ALL \
    --security-opt no-new-privileges --memory 512m --pids-limit 64 --mount "type=bind,src=$OC_VOLUME/state,dst=/home/node/.openclaw" \
    --mount "type=bind,src=$OC_SECRETS,dst=/run/openclaw" --entrypoint node "$image" /opt/oc-hosted/configure.mjs 2>&1 >/dev/null) ||
    oc_fail 9 "the configuration can not be written: ${problem##*$'\n'}"
}

oc_run() {
  local command problem logging=() network=()
  mapfile -t logging < <(oc_logging)
  mapfile -t network < <(oc_network)
  ((${#logging[@]})) || oc_fail 9 'the instance does not tell its id and region'
  command=$(docker image inspect --format '{{join .Config.Cmd " "}}' "$image") || oc_fail 7 "image $image is not there"
  oc_put "$OC_ROOT/machine.env" < <(printf '%s\n' "instance=$instance" "volume=$volume" "image=$image")
  # shellcheck disable=SC2086 # the command is several words
  problem=$(docker run -d --name $OC_NAME --hostname "$instance" --init --restart always --stop-timeout $OC_STOP_SECONDS \
    "${logging[@]}" \
    --label "openclaw-hosted.instance=$instance" --label "openclaw-hosted.generation=$generation" \
    --label "openclaw-hosted.config=$(sha256sum <<<"$config" | cut -c 1-16)" \
    --memory 1536m --memory-swap 1536m --pids-limit 512 --cap-drop ALL --security-opt no-new-privileges \
    --user $OC_UID:$OC_UID --read-only --tmpfs /tmp:mode=1777,size=256m "${network[@]}" \
    --tmpfs /run/openclaw:mode=700,uid=$OC_UID,gid=$OC_UID,size=1m --env "OPENCLAW_HOSTED_RESERVED=$((10#$generation == 0))" \
    --mount "type=bind,src=$OC_VOLUME/home,dst=/home/node" \
    --mount "type=bind,src=$OC_VOLUME/state,dst=/home/node/.openclaw" --mount "type=bind,src=$OC_SECRETS,dst=/run/openclaw-machine,readonly" \
    --publish 8080:8080 --entrypoint sh "$image" -c "$OC_WRAPPER" gateway $command 2>&1 >/dev/null 9>&-) ||
    oc_fail 9 "the container can not be started: ${problem##*$'\n'}"
}

oc_logging() { # Docker's options, one a line; none where they can't be known. CloudWatch being away holds up neither a start nor OpenClaw
  local id where
  [[ -n $log ]] || { printf -- '--log-%s\n' driver=json-file opt=max-size=10m opt=max-file=3 && return; }
  id=$(oc_imds instance-id) && where=$(oc_imds placement/region) && [[ -n $id && -n $where ]] || return
  printf -- '--log-%s\n' driver=awslogs "opt=awslogs-group=$log" "opt=awslogs-stream=$id" "opt=awslogs-region=$where" \
    opt=mode=non-blocking opt=max-buffer-size=4m opt=cache-max-size=10m opt=cache-max-file=3
  if [[ -n ${AWS_ENDPOINT_URL:-} ]]; then
    printf -- '--log-opt=awslogs-endpoint=%s\n' "$AWS_ENDPOINT_URL"
  elif [[ -n ${AWS_USE_DUALSTACK_ENDPOINT:-} ]]; then
    printf -- '--log-opt=awslogs-endpoint=https://logs.%s.api.aws\n' "$where"
  fi
}

oc_network() { # Docker's options, one a line: proxies, registries and certificates, as whoever made the machine image wrote them
  local known='(HTTPS?|ALL)_PROXY|NPM_CONFIG_(REGISTRY|(HTTPS_)?PROXY|NOPROXY|STRICT_SSL)|PIP_INDEX_URL' direct name ca
  direct=$(sed -n 's/^NO_PROXY=/,/Ip' "$OC_ENVIRONMENT" 2>/dev/null | tr -d '\n')
  {
    sed -nE "/^($known)=/Ip" "$OC_ENVIRONMENT" 2>/dev/null
    for name in NO_PROXY no_proxy; do echo "$name=127.0.0.1,localhost,::1$direct"; done
  } | oc_put "$OC_ROOT/network.env"
  echo "--env-file=$OC_ROOT/network.env"
  ca=$(sed -n 's/^NODE_EXTRA_CA_CERTS=//p' "$OC_ENVIRONMENT" 2>/dev/null)
  [[ -f $ca ]] || return 0
  echo "--mount=type=bind,src=$ca,dst=$OC_CERTIFICATES,readonly"
  for name in NODE_EXTRA_CA_CERTS SSL_CERT_FILE CURL_CA_BUNDLE GIT_SSL_CAINFO PIP_CERT; do echo "--env=$name=$OC_CERTIFICATES"; done
}

oc_secrets() {
  [[ $(oc_known instance) == "$instance" ]] && oc_mounted || oc_fail 8 "no gateway of $instance is here"
  oc_newer
  local document
  document=$(oc_secret) || exit $?
  image=$(oc_known image)
  printf '\n%s' "$document" | oc_configure || exit $?
  [[ $(oc_fact '{{.State.Running}} {{range .Mounts}}{{.Destination}} {{end}}') != true*' /run/openclaw-machine '* ]] ||
    docker exec $OC_NAME sh -c "$OC_TAKE" >/dev/null 2>&1 || oc_fail 9 'the gateway can not be given its credentials'
}

oc_stop() {
  command -v docker >/dev/null && oc_take_down
  oc_unmount
  rm -rf "$OC_SECRETS" "$OC_ROOT/machine.env"
}

oc_restart() { # the engine starts it again by its policy, so nobody has to wait here
  local pid tries
  [[ -n $(oc_fact '{{.Id}}') ]] || oc_fail 8 'no gateway is here'
  pid=$(oc_fact '{{.State.Pid}}')
  if ((pid == 0)); then
    oc_revive
    return
  fi
  ((now)) || ! oc_is_stopping || return 0
  oc_put "$OC_ROOT/told" < <(oc_fact '{{.State.StartedAt}}')
  kill -TERM "$pid"
  ((now)) || return 0
  for tries in {1..20}; do
    kill -0 "$pid" 2>/dev/null || return 0
    sleep 0.5
  done
  kill -KILL "$pid" 2>/dev/null
  return 0
}

# --- a reboot: mounts and the firewall's rules are gone, and user data does not run again ---

oc_close() { # containers can't reach the metadata address. Docker keeps what stands in its chain already when it starts
  iptables -w -N DOCKER-USER 2>/dev/null
  iptables -w -C DOCKER-USER -d 169.254.169.254/32 -j DROP 2>/dev/null ||
    iptables -w -I DOCKER-USER -d 169.254.169.254/32 -j DROP 2>/dev/null || oc_fail 9 'the metadata address can not be closed to containers'
}

oc_outlive() { # has a unit call `boot` whenever Docker is about to start, with the script as it is now
  local program=$OC_ROOT/boot.sh text
  text=$(echo '#!/bin/bash' && declare -p "${!OC_@}" && declare -f && echo openclaw_machine boot)
  [[ $(cat "$program" 2>/dev/null) != "$text" || ! -e $OC_UNIT ]] || return 0
  oc_put "$program" <<<"$text" && oc_put "$OC_UNIT" < <(printf '%s\n' '[Unit]' 'Description=What a reboot took from the OpenClaw gateway' \
    Before=docker.service '[Service]' Type=oneshot "ExecStart=/bin/bash $program" TimeoutStartSec=120 '[Install]' WantedBy=docker.service) &&
    { systemctl daemon-reload && systemctl enable docker "${OC_UNIT##*/}"; } >/dev/null 2>&1 || oc_fail 9 'the unit for reboots can not be written'
}

# shellcheck disable=SC2317 # what mounts calls docker
oc_boot() { # Docker, if asked, would wait for this unit, which would wait for Docker
  docker() { return 1; }
  oc_restore
}

oc_restore() {
  oc_close
  instance=$(oc_known instance) volume=$(oc_known volume)
  [[ -z $volume ]] || oc_mount
}

oc_revive() { # the gateway that belongs here runs again; one that runs is left alone
  oc_restore
  [[ $(oc_fact '{{.State.Running}}') != false ]] || docker start $OC_NAME >/dev/null 2>&1 9>&- || oc_fail 9 'the container can not be started'
}

oc_is_stopping() { # what runs was told to end, and has time left for that
  local told
  told=$(cat "$OC_ROOT/told" 2>/dev/null) && [[ -n $told && $told == "$(oc_fact '{{.State.StartedAt}}')" ]] &&
    (($(date +%s) - $(stat -c %Y "$OC_ROOT/told") <= OC_STOP_SECONDS))
}

oc_keep_config() {
  [[ -d $OC_VOLUME/state ]] && oc_mounted || oc_fail 8 'no volume is mounted'
  local kept
  kept=$(dd if="$OC_VOLUME/state/openclaw.json" iflag=nofollow,nonblock bs=1M count=4 2>/dev/null) && [[ $kept == '{'* ]] ||
    oc_fail 9 'there is no configuration to keep'
  oc_put "$OC_VOLUME/proven-config.json" <<<"$kept"
}

oc_mend() { # nothing is written through the state directory, where a tenant may have put links
  local draft=$OC_VOLUME/openclaw.json.new
  cat "$OC_VOLUME/proven-config.json" >"$draft" 2>/dev/null || echo '{}' >"$draft"
  chown $OC_UID:$OC_UID "$draft" && mv -fT "$draft" "$OC_VOLUME/state/openclaw.json" || oc_fail 9 'the configuration can not be put back'
}

# --- what can be seen of it ---

oc_inspect() {
  local found status=none pid exit='' restarts=0 started='' oom=false has='' refused=0 running=0 stopping=0 killed=0 problem=''
  found=$(docker ps -aq --filter "name=^/$OC_NAME$" 2>/dev/null) || oc_fail 9 'Docker does not answer'
  [[ -z $found ]] || read -r status pid exit restarts started oom has < <(oc_fact \
    '{{.State.Status}} {{.State.Pid}} {{.State.ExitCode}} {{.RestartCount}} {{.State.StartedAt}} {{.State.OOMKilled}} {{.Config.Image}}')
  started=$(date -d "${started:-never}" +%s 2>/dev/null) && ((started > 0)) || started=''
  if oc_is_refused; then
    refused=1 exit=$OC_REFUSED
  elif [[ $status == running ]]; then
    running=1 exit=''
    ! oc_is_stopping || stopping=1
  fi
  [[ $oom != true ]] || killed=1
  [[ -z $started ]] ||
    problem=$(docker logs --since $((started - 90)) --tail 500 $OC_NAME 2>&1 | grep -aE "$OC_FAILURE" | tail -n 1 | oc_blot | base64 -w 0)
  printf '%s\n' "running=$running" "stopping=$stopping" "exit=$exit" "refused=$refused" "restarts=$restarts" "started=$started" "oom=$killed" \
    "instance=$(oc_known instance)" "generation=$(cat "$OC_ROOT/generation" 2>/dev/null)" "image=$has" \
    "volume=$(oc_known volume)" "problem=$problem"
}

oc_logs() { # at most 23,000 bytes, as Run Command keeps no more
  local pid said=''
  [[ -n $(oc_fact '{{.Id}}') ]] || oc_fail 8 'no gateway is here'
  pid=$(oc_fact '{{.State.Pid}}')
  ((pid == 0)) || said=$(oc_log_file "$OC_HOST/proc/$pid/root$OC_LOG")
  if [[ -n $said ]]; then printf '%s\n' "$said"; else docker logs --tail "$lines" $OC_NAME 2>&1; fi | oc_blot | tail -c 23000
}

oc_log_file() { # PATH: its tail, with what the file says of itself cut short. A tenant may have put a link, a pipe or a huge file there
  local size most=8388608
  size=$(stat -c %s "$1" 2>/dev/null) || return
  dd if="$1" iflag=nofollow,nonblock,skip_bytes,count_bytes bs=64K skip=$((size > most ? size - most : 0)) count=$most 2>/dev/null |
    tr -d '\0' | tail -n "$lines" | tail -c 500000 |
    sed -E 's/^\{"0":.*"_meta":\{.*("logLevelName":"[A-Z]+","name":"([^"\\]|\\.)*").*\},("time":"[^"]*"),"hostname":"[^"]*",/{"_meta":{\1},\3,/' |
    tail -c 23000
}

oc_live() { # the credentials that the gateway was handed. Its tenant may have put anything there
  local pid
  pid=$(oc_fact '{{.State.Pid}}')
  ((${pid:-0} == 0)) || dd if="$OC_HOST/proc/$pid/root/run/openclaw/secrets.json" iflag=nofollow,nonblock bs=64K count=2
}

oc_blot() { # standard input without the values of the secrets file, the longest first, nor what looks like a credential
  local line value values=() key='[A-Za-z0-9_-]'
  mapfile -t values < <({ cat "$OC_SECRETS/secrets.json" && oc_live; } 2>/dev/null | sed -nE 's/^ "[^"]+": "(.{6,})",?$/\1/p' | while IFS= read -r value; do
    printf '%05d%s\n' ${#value} "$value"
    value=${value//\\\"/\"} && value=${value//\\\\/\\}
    printf '%05d%s\n' ${#value} "$value"
  done | sort -ru | cut -c 6-)
  while IFS= read -r line || [[ -n $line ]]; do
    for value in "${values[@]}"; do line=${line//"$value"/"$OC_BLOT"}; done
    printf '%s\n' "$line"
  done | sed -E "s/sk-$key{8,}|xox[a-z]-[A-Za-z0-9-]{8,}|xapp-[A-Za-z0-9-]{8,}|AIza$key{20,}|\\b[0-9]{6,12}:$key{30,}|\\b[MNO]$key{22,28}\\.$key{5,8}\\.$key{25,}/$OC_BLOT/g
    s/([Bb]earer )[^[:space:]\"',]+|([Tt]oken=|[Kk]ey=)[^[:space:]&\"']+/\1\2$OC_BLOT/g"
}
