# The first boot of the control plane's machine, an Amazon Linux 2023. Terraform puts a line `#!/bin/bash` and the values above it:
# REGION, IMAGE, LOG_GROUP, ENVIRONMENT (the platform's settings), and VOLUME or DATABASE_SECRET and DATABASE_HOST.
# shellcheck shell=bash disable=SC2153
set -eu -o pipefail
umask 077

ROOT=/etc/openclaw-hosted DATA=/var/lib/openclaw-hosted OWNER=10001

retry() { # COMMAND...: for ten minutes
  local until=$((SECONDS + 600))
  until "$@"; do
    ((SECONDS < until)) || return 1
    sleep 5
  done
}

own_address() {
  local token
  token=$(curl -sf -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token)
  curl -sf -H "X-aws-ec2-metadata-token: $token" http://169.254.169.254/latest/meta-data/instance-id
}

mount_volume() { # the one that the machine before had; it is free once that one is gone
  local disk=/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_${VOLUME/-/}
  retry aws ec2 attach-volume --region "$REGION" --volume-id "$VOLUME" --instance-id "$(own_address)" --device /dev/sdf
  retry test -b "$disk"
  blkid "$disk" >/dev/null || mkfs.ext4 -q "$disk"
  mount -o nodev,nosuid,noatime "$disk" "$DATA"
}

retry dnf install -y -q docker
systemctl enable --now docker
mkdir -p "$ROOT" "$DATA"
[[ -z $VOLUME ]] || mount_volume
chown "$OWNER:$OWNER" "$DATA"

printf '%s\n' "$ENVIRONMENT" >"$ROOT/environment"
printf '%s=%q\n' REGION "$REGION" IMAGE "$IMAGE" LOG_GROUP "$LOG_GROUP" DATA "$DATA" OWNER "$OWNER" \
  DATABASE_SECRET "$DATABASE_SECRET" DATABASE_HOST "$DATABASE_HOST" INSTANCE "$(own_address)" >"$ROOT/machine"

# Each start fetches image and password anew, so that a restart takes up what was changed. Nothing waits for CloudWatch: what is more than
# 16 MB while it can't be reached is lost.
cat >/usr/local/sbin/openclaw-hosted-serve <<'SCRIPT'
#!/bin/bash
set -eu -o pipefail
umask 077
. /etc/openclaw-hosted/machine
aws ecr get-login-password --region "$REGION" | docker login --username AWS --password-stdin "${IMAGE%%/*}" >/dev/null
docker pull -q "$IMAGE"
docker logout "${IMAGE%%/*}" >/dev/null
secret=/run/openclaw-hosted.environment
: >"$secret"
if [[ -n $DATABASE_SECRET ]]; then
  password=$(aws secretsmanager get-secret-value --region "$REGION" --secret-id "$DATABASE_SECRET" --query SecretString --output text)
  printf 'DATABASE_URL=postgresql://openclaw:%s@%s/openclaw?ssl=require\n' "$password" "$DATABASE_HOST" >"$secret"
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
Requires=docker.service
StartLimitIntervalSec=0

[Service]
ExecStart=/usr/local/sbin/openclaw-hosted-serve
ExecStop=/usr/bin/docker stop -t 30 openclaw-hosted
Restart=always
RestartSec=10

[Install]
WantedBy=multi-user.target
UNIT
systemctl daemon-reload
systemctl enable --now openclaw-hosted
