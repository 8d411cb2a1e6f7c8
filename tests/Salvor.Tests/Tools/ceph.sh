#!/usr/bin/env bash
# A Ceph cluster of one in memory, with its gateway for S3 on loopback. Says "ready" when it answers; ends, with all that it
# started and wrote, when its standard input does: so it cannot outlive the process that holds the other end.
#
#   ceph.sh DIRECTORY GATEWAY_PORT MONITOR_PORT_2 MONITOR_PORT_1
set -euo pipefail

dir=$1 port=$2 monitor2=$3 monitor1=$4
export CEPH_CONF=$dir/ceph.conf
users="testkey:testsecret otherkey:othersecret"

is_ready=
finish() {
    [[ -n $is_ready ]] || tail -n 20 "$dir/log/start.log" >&4 || true

    # Nothing here is worth an orderly end.
    kill -KILL $(jobs -p) 2> /dev/null || true
    rm -rf "$dir"
}
exec 3>&1 4>&2
trap finish EXIT

mkdir -p "$dir"/{mon,osd0,rgw,log}
cluster=$(cat /proc/sys/kernel/random/uuid)
monitors="[v2:127.0.0.1:$monitor2/0,v1:127.0.0.1:$monitor1/0]"
cat > "$CEPH_CONF" << CONF
[global]
fsid = $cluster
mon_host = $monitors
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_ipv4 = true
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
auth_allow_insecure_global_id_reclaim = true
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pgp_num = 4
osd_pool_default_pg_autoscale_mode = off
mon_allow_pool_size_one = true
mon_warn_on_pool_no_redundancy = false
mon_max_pg_per_osd = 1000
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
osd_crush_chooseleaf_type = 0
rgw_rados_pool_pg_num_min = 1
osd_objectstore = memstore
memstore_device_bytes = 4294967296
run_dir = $dir
admin_socket = $dir/\$name.asok
pid_file = $dir/\$name.pid
log_file = $dir/log/\$name.log
mon_data = $dir/mon
osd_data = $dir/osd0
keyring = $dir/keyring
crash_dir = $dir
[client.rgw]
rgw_frontends = beast endpoint=127.0.0.1:$port tcp_nodelay=1
rgw_data = $dir/rgw
rgw_enable_usage_log = false
rgw_crypt_require_ssl = false
rgw_crypt_s3_kms_backend = testing
rgw_sts_key = abcdefghijklmnop
rgw_s3_auth_use_sts = true
rgw_s3_auth_order = local, sts
rgw_crypt_s3_kms_encryption_keys = testkey-1=YmluCmJvb3N0CmJvb3N0LWJ1aWxkCmNlcGguY29uZgo=
CONF

exec > "$dir/log/start.log" 2>&1

ceph-authtool --create-keyring "$dir/keyring" --gen-key -n mon. --cap mon 'allow *'
ceph-authtool "$dir/keyring" --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
monmaptool --create --clobber --fsid "$cluster" --addv a "$monitors" "$dir/monmap"
ceph-mon --mkfs -i a --monmap "$dir/monmap" --keyring "$dir/keyring"
ceph-mon -f -i a &

osd=$(cat /proc/sys/kernel/random/uuid)
timeout 60 ceph osd new "$osd" 0
timeout 60 ceph auth get-or-create osd.0 mon 'allow profile osd' mgr 'allow profile osd' osd 'allow *' > "$dir/osd0/keyring"
ceph-osd -i 0 --mkfs --osd-uuid "$osd" --keyring "$dir/osd0/keyring"
ceph-osd -f -i 0 --keyring "$dir/osd0/keyring" &
timeout 60 ceph auth get-or-create client.rgw mon 'allow rwx' osd 'allow rwx' > "$dir/rgw/keyring"

# The first look makes the zone, to which a second storage class is added.
timeout 60 radosgw-admin user list
timeout 60 radosgw-admin zonegroup placement add \
    --rgw-zonegroup default --placement-id default-placement --storage-class STANDARD_IA
timeout 60 radosgw-admin zone placement add --rgw-zone default --placement-id default-placement --storage-class STANDARD_IA \
    --data-pool default.rgw.buckets.data
radosgw -f -n client.rgw --keyring "$dir/rgw/keyring" &
for user in $users; do
    timeout 60 radosgw-admin user create --uid="${user%key:*}" --display-name="${user%key:*}" \
        --access-key="${user%:*}" --secret="${user#*:}"
done

# A role that the second user may take, and that may do everything.
timeout 60 radosgw-admin role create --role-name=backups --path=/ --assume-role-policy-doc='{
    "Version": "2012-10-17",
    "Statement": [{ "Effect": "Allow", "Principal": { "AWS": ["arn:aws:iam:::user/other"] }, "Action": ["sts:AssumeRole"] }]
}'
timeout 60 radosgw-admin role-policy put --role-name=backups --policy-name=all --policy-doc='{
    "Version": "2012-10-17",
    "Statement": [{ "Effect": "Allow", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::*"] }]
}'

for _ in $(seq 1 300); do
    if (: < "/dev/tcp/127.0.0.1/$port"); then
        is_ready=1
        echo ready >&3
        cat > /dev/null
        exit
    fi

    sleep 0.1
done

exit 1
