# What the machine image of users' machines has beyond Amazon Linux 2023. EC2 Image Builder runs it as root, with two values above it:
# IMAGE, the gateway's image by its digest or nothing, and REGION.
# shellcheck shell=bash disable=SC2153
set -eu -o pipefail

dnf upgrade -y -q
dnf install -y -q docker iptables-nft e2fsprogs
systemctl enable --now docker

if [[ -n $IMAGE ]]; then
  registry=${IMAGE%%/*}
  aws ecr get-login-password --region "$REGION" | docker login --username AWS --password-stdin "$registry" >/dev/null
  docker pull -q "$IMAGE"
  docker logout "$registry" >/dev/null
fi

# What openclaw-machine.sh calls, and would otherwise miss only once a user waits.
for tool in docker iptables mkfs.ext4 curl lsblk flock; do
  command -v "$tool" >/dev/null
done
curl --aws-sigv4 aws:amz:us-east-1:sts --version >/dev/null
systemctl is-enabled --quiet docker amazon-ssm-agent
