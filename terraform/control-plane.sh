# The first boot of the control plane's machine, an Amazon Linux 2023. Terraform puts a line `#!/bin/bash` and the values above it:
# REGION, IMAGE, LOG_GROUP, ENVIRONMENT (the platform's settings), SETTINGS_SECRET (for more of them), VOLUME, DATABASE_SECRET with
# DATABASE_HOST, and ADDRESS (of the allocation of an Elastic IP) where this machine is what users reach. What is empty is not there.
# It only writes what the service needs. User data runs once, so all else is the service's work at each start, after a reboot as well.
# shellcheck shell=bash disable=SC2153
set -eu -o pipefail
umask 077

ROOT=/etc/openclaw-hosted DATA=/var/lib/openclaw-hosted OWNER=10001
mkdir -p "$ROOT" "$DATA"
printf '%s\n' "$ENVIRONMENT" >"$ROOT/environment"
printf '%s=%q\n' REGION "$REGION" IMAGE "$IMAGE" LOG_GROUP "$LOG_GROUP" DATA "$DATA" OWNER "$OWNER" VOLUME "$VOLUME" ADDRESS "$ADDRESS" \
  DATABASE_SECRET "$DATABASE_SECRET" DATABASE_HOST "$DATABASE_HOST" SETTINGS_SECRET "$SETTINGS_SECRET" >"$ROOT/machine"

# Each start fetches image and password anew, so that a restart takes up what was changed. Nothing waits for CloudWatch: what is more than
# 16 MB while it can't be reached is lost. What fails ends the start, and systemd tries again.
cat >/usr/local/sbin/openclaw-hosted-serve <<'SCRIPT'
#!/bin/bash
set -eu -o pipefail
umask 077
. /etc/openclaw-hosted/machine

own_id() {
  local token
  token=$(curl -sf -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token)
  curl -sf -H "X-aws-ec2-metadata-token: $token" http://169.254.169.254/latest/meta-data/instance-id
}

is_empty() { # DISK: surely
  local found=0
  blkid -p "$1" >/dev/null || found=$?
  ((found == 2)) && [[ $(head -c 1048576 "$1" | tr -d '\0' | wc -c) == 0 && $(head -c 1048576 "$1" | wc -c) == 1048576 ]]
}

mount_volume() { # the one that the machine before had; it is free once that one is gone
  local disk=/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_${VOLUME/-/}
  [[ -b $disk ]] || aws ec2 attach-volume --region "$REGION" --volume-id "$VOLUME" --instance-id "$INSTANCE" --device /dev/sdf >/dev/null
  timeout 60 bash -c 'until [[ -b $0 ]]; do sleep 1; done' "$disk"
  if is_empty "$disk"; then mkfs.ext4 -q "$disk"; fi
  mount -o nodev,nosuid,noatime "$disk" "$DATA"
}

take_address() { # the one that the machine before had; and its ports, for an edge that is not root
  aws ec2 associate-address --region "$REGION" --allocation-id "$ADDRESS" --instance-id "$INSTANCE" --allow-reassociation >/dev/null
  local first=/proc/sys/net/ipv4/ip_unprivileged_port_start
  (($(<"$first") <= 80)) || echo 80 >"$first"
}

secret_text() { # ARN
  aws secretsmanager get-secret-value --region "$REGION" --secret-id "$1" --query SecretString --output text
}

INSTANCE=$(own_id)
command -v docker >/dev/null || dnf install -y -q docker
systemctl enable --now docker
[[ -z $VOLUME ]] || mountpoint -q "$DATA" || mount_volume
chown "$OWNER:$OWNER" "$DATA"
[[ -z $ADDRESS ]] || take_address
aws ecr get-login-password --region "$REGION" | docker login --username AWS --password-stdin "${IMAGE%%/*}" >/dev/null
docker pull -q "$IMAGE"
docker logout "${IMAGE%%/*}" >/dev/null
secret=/run/openclaw-hosted.environment
: >"$secret"
if [[ -n $DATABASE_SECRET ]]; then
  password=$(secret_text "$DATABASE_SECRET")
  printf 'DATABASE_URL=postgresql://openclaw:%s@%s/openclaw?ssl=require\n' "$password" "$DATABASE_HOST" >"$secret"
fi
if [[ -n $SETTINGS_SECRET ]]; then
  settings=$(secret_text "$SETTINGS_SECRET")
  printf '%s\n' "$settings" >>"$secret"
fi
docker rm -f openclaw-hosted >/dev/null 2>&1 || true
exec docker run --rm --name openclaw-hosted --network host --init --user "$OWNER:$OWNER" --read-only --tmpfs /tmp \
  --cap-drop ALL --security-opt no-new-privileges --env-file /etc/openclaw-hosted/environment --env-file "$secret" \
  --log-driver awslogs --log-opt "awslogs-region=$REGION" --log-opt "awslogs-group=$LOG_GROUP" --log-opt "awslogs-stream=$INSTANCE" \
  --log-opt mode=non-blocking --log-opt max-buffer-size=16m \
  --mount "type=bind,src=$DATA,dst=/var/lib/openclaw-hosted" "$IMAGE"
SCRIPT
chmod 755 /usr/local/sbin/openclaw-hosted-serve

cat >/etc/systemd/system/openclaw-hosted.service <<'UNIT'
[Unit]
Description=OpenClaw Hosted
After=docker.service network-online.target
Wants=docker.service network-online.target
StartLimitIntervalSec=0

[Service]
ExecStart=/usr/local/sbin/openclaw-hosted-serve
ExecStop=-/usr/bin/docker stop -t 30 openclaw-hosted
Restart=always
RestartSec=10

[Install]
WantedBy=multi-user.target
UNIT
systemctl daemon-reload
systemctl enable --now openclaw-hosted
