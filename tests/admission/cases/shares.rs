//! Users, groups, remote stores and shares.

use super::Expect::{Accepted, Refused, RefusedBySchema};
use super::{Case, create, update};

/// All of them together.
const WHOLE: &str = r#"
storage: {metadataSize: 10Gi, contentSize: 100Gi}
groups: [{name: staff, gid: 2000}]
users:
  - {name: alice, uid: 1000, gid: 1000, groups: [staff, users], displayName: Alice, enabled: true, passwordSecretRef: {name: alice, key: password}}
remoteStores:
  - name: cold
    s3: {bucket: files, region: eu-1, endpoint: "http://minio.storage.svc:9000", prefix: a/, forcePathStyle: true, allowPrivateEndpoint: true, credentialsSecretRef: {name: s3}, compression: zstd}
shares:
  - name: export
    owner: alice
    defaultPermission: read-write
    permissions: {users: {alice: admin}, groups: {staff: read}}
    readOnly: false
    quota: 10Gi
    remoteStore: cold
    nfs: {squash: root_to_guest, anonymousUid: 65534, anonymousGid: 65534, requireKerberos: false, minKerberosLevel: krb5i, allowedClients: [10.0.0.0/8, 10.1.2.3, "*.example.com", "fd00::1"]}
    trash: {enabled: true, retentionDays: 7, restrictToAdmin: true}
    snapshots: {interval: "@daily", keepLast: 7, ttl: 720h, namePrefix: auto-}
"#;

const ONE: &str = "{storage: {metadataSize: 10Gi, contentSize: 100Gi}, users: [{name: alice, uid: 1000, passwordSecretRef: {name: alice, key: password}}, {name: bob, uid: 1001, passwordSecretRef: {name: alice, key: password}}], shares: [{name: export, owner: alice}]}";

const OVER_S3: &str = "{storage: {metadataSize: 10Gi, contentSize: 100Gi}, remoteStores: [{name: cold, s3: {bucket: files, credentialsSecretRef: {name: s3}}}, {name: other, s3: {bucket: b, credentialsSecretRef: {name: s3}}}], shares: [{name: export, remoteStore: cold}]}";

/// The cases.
pub const SHARES: &[Case] = &[
    create("every field of users and shares is accepted", WHOLE, Accepted),
    create(
        "every setting of the adapters is accepted",
        "{storage: {metadataSize: 10Gi}, adapters: {nfs: {enabled: true, port: 12050}, smb: {enabled: false, port: 1446, minVersion: SMB3.0, maxVersion: SMB3.1.1, signing: required, encryption: true}}}",
        Accepted,
    ),
    create(
        "two adapters on one port are refused",
        "{storage: {metadataSize: 10Gi}, adapters: {nfs: {port: 2000}, smb: {port: 2000}}}",
        Refused("spec.adapters", "must differ"),
    ),
    create(
        "an adapter on the port of the API is refused",
        "{storage: {metadataSize: 10Gi}, adapters: {smb: {port: 8080}}}",
        Refused("spec.adapters", "must differ"),
    ),
    create(
        "an adapter on the port that another one has by default is refused",
        "{storage: {metadataSize: 10Gi}, adapters: {nfs: {port: 1445}}}",
        Refused("spec.adapters", "must differ"),
    ),
    create(
        "an adapter on the port of one that is off is accepted",
        "{storage: {metadataSize: 10Gi}, adapters: {nfs: {port: 1445}, smb: {enabled: false}}}",
        Accepted,
    ),
    create(
        "an adapter on the port of the metrics is refused",
        "{storage: {metadataSize: 10Gi}, metrics: {enabled: true}, adapters: {smb: {port: 9090}}}",
        Refused("spec.adapters", "must differ"),
    ),
    create(
        "an adapter on the port of the portmapper is refused",
        "{storage: {metadataSize: 10Gi}, adapters: {nfs: {port: 10111}}}",
        Refused("spec.adapters", "must differ"),
    ),
    create(
        "a hardware address as a client is refused",
        "{storage: {metadataSize: 10Gi, contentSize: 10Gi}, shares: [{name: export, nfs: {allowedClients: ['aa:bb:cc:dd:ee:ff']}}]}",
        RefusedBySchema("spec.shares[0].nfs.allowedClients[0]", "should match"),
    ),
    create(
        "a network of IPv6 that is too long is refused",
        "{storage: {metadataSize: 10Gi, contentSize: 10Gi}, shares: [{name: export, nfs: {allowedClients: ['fd00::/129']}}]}",
        RefusedBySchema("spec.shares[0].nfs.allowedClients[0]", "should match"),
    ),
    create(
        "addresses and networks of IPv6 are accepted as clients",
        "{storage: {metadataSize: 10Gi, contentSize: 10Gi}, shares: [{name: export, nfs: {allowedClients: ['::1', 'fd00::/64', '2001:db8:1:2:3:4:5:6', '::ffff:10.0.0.1', '0:0:0:0:0:ffff:10.0.0.1', 'fe80::1/128']}}]}",
        Accepted,
    ),
    create(
        "a version of SMB that does not exist is refused",
        "{storage: {metadataSize: 10Gi}, adapters: {smb: {minVersion: SMB1}}}",
        RefusedBySchema("spec.adapters.smb.minVersion", "Unsupported value"),
    ),
    create(
        "a range of versions of SMB that is empty is refused",
        "{storage: {metadataSize: 10Gi}, adapters: {smb: {minVersion: SMB3.1.1, maxVersion: SMB3.0.2}}}",
        Refused("spec.adapters.smb", "minVersion must not be above maxVersion"),
    ),
    create(
        "a range of one version of SMB is accepted",
        "{storage: {metadataSize: 10Gi}, adapters: {smb: {minVersion: SMB3.0, maxVersion: SMB3.0}}}",
        Accepted,
    ),
    create(
        "a share without a content volume is refused",
        "{storage: {metadataSize: 10Gi}, shares: [{name: export}]}",
        Refused("spec.shares", "needs spec.storage.contentSize"),
    ),
    create(
        "a level that does not exist is refused",
        "{storage: {metadataSize: 10Gi, contentSize: 1Gi}, shares: [{name: export, defaultPermission: everything}]}",
        RefusedBySchema("spec.shares[0].defaultPermission", "Unsupported value"),
    ),
    create(
        "a level of a user that does not exist is refused",
        "{storage: {metadataSize: 10Gi, contentSize: 1Gi}, shares: [{name: export, permissions: {users: {alice: all}}}]}",
        RefusedBySchema("spec.shares[0].permissions.users.alice", "Unsupported value"),
    ),
    create(
        "a share with a slash in its name is refused",
        "{storage: {metadataSize: 10Gi, contentSize: 1Gi}, shares: [{name: /export}]}",
        Refused("spec.shares[0].name", "without '/'"),
    ),
    create(
        "an owner that is not declared is refused",
        "{storage: {metadataSize: 10Gi, contentSize: 1Gi}, shares: [{name: export, owner: nobody}]}",
        Refused(
            "spec.shares",
            "must be the name of a user in spec.users that has a uid",
        ),
    ),
    create(
        "an owner without a number is refused",
        "{storage: {metadataSize: 10Gi, contentSize: 1Gi}, users: [{name: alice, passwordSecretRef: {name: alice, key: password}}], shares: [{name: export, owner: alice}]}",
        Refused("spec.shares", "that has a uid"),
    ),
    create(
        "two users with one number are refused",
        "{storage: {metadataSize: 10Gi}, users: [{name: alice, uid: 1000, passwordSecretRef: {name: a, key: p}}, {name: bob, uid: 1000, passwordSecretRef: {name: a, key: p}}]}",
        Refused("spec.users", "two users with the same uid"),
    ),
    create(
        "two groups with one number are refused",
        "{storage: {metadataSize: 10Gi}, groups: [{name: one, gid: 5}, {name: two, gid: 5}]}",
        Refused("spec.groups", "two groups with the same gid"),
    ),
    create(
        "a group that is not declared is refused",
        "{storage: {metadataSize: 10Gi}, users: [{name: alice, groups: [staff], passwordSecretRef: {name: a, key: p}}]}",
        Refused("spec.users", "a group that is not in spec.groups"),
    ),
    create(
        "the user admin cannot be declared",
        "{storage: {metadataSize: 10Gi}, users: [{name: admin, passwordSecretRef: {name: a, key: p}}]}",
        Refused("spec.users[0].name", "users of the server"),
    ),
    create(
        "a user without a password is refused",
        "{storage: {metadataSize: 10Gi}, users: [{name: alice}]}",
        RefusedBySchema("spec.users[0].passwordSecretRef", "Required value"),
    ),
    create(
        "a remote store that is not declared is refused",
        "{storage: {metadataSize: 10Gi, contentSize: 1Gi}, shares: [{name: export, remoteStore: cold}]}",
        Refused("spec.shares", "must be the name of a store in spec.remoteStores"),
    ),
    create(
        "a client that is no address, network or host is refused",
        "{storage: {metadataSize: 10Gi, contentSize: 1Gi}, shares: [{name: export, nfs: {allowedClients: [10.0.0.0/99]}}]}",
        RefusedBySchema("spec.shares[0].nfs.allowedClients[0]", "should match"),
    ),
    create(
        "a quota that is not a size is refused",
        "{storage: {metadataSize: 10Gi, contentSize: 1Gi}, shares: [{name: export, quota: much}]}",
        Refused("spec.shares[0].quota", "must be a size"),
    ),
    create(
        "an endpoint with credentials in it is refused",
        "{storage: {metadataSize: 10Gi}, remoteStores: [{name: cold, s3: {bucket: b, endpoint: 'http://me:secret@minio', credentialsSecretRef: {name: s3}}}]}",
        Refused("spec.remoteStores[0].s3.endpoint", "without credentials"),
    ),
    update(
        "the owner of a share cannot change",
        ONE,
        "{storage: {metadataSize: 10Gi, contentSize: 100Gi}, users: [{name: alice, uid: 1000, passwordSecretRef: {name: alice, key: password}}, {name: bob, uid: 1001, passwordSecretRef: {name: alice, key: password}}], shares: [{name: export, owner: bob}]}",
        Refused("spec.shares[0].owner", "cannot be changed or added"),
    ),
    create(
        "an address that is none is refused as a client",
        "{storage: {metadataSize: 10Gi, contentSize: 1Gi}, shares: [{name: export, nfs: {allowedClients: [10.0.0.300]}}]}",
        RefusedBySchema("spec.shares[0].nfs.allowedClients[0]", "should match"),
    ),
    update(
        "the owner of a share can leave the spec with its user",
        ONE,
        "{storage: {metadataSize: 10Gi, contentSize: 100Gi}, users: [{name: bob, uid: 1001, passwordSecretRef: {name: alice, key: password}}], shares: [{name: export}]}",
        Accepted,
    ),
    update(
        "an owner cannot be added to a share",
        "{storage: {metadataSize: 10Gi, contentSize: 1Gi}, users: [{name: alice, uid: 1000, passwordSecretRef: {name: alice, key: password}}], shares: [{name: export}]}",
        "{storage: {metadataSize: 10Gi, contentSize: 1Gi}, users: [{name: alice, uid: 1000, passwordSecretRef: {name: alice, key: password}}], shares: [{name: export, owner: alice}]}",
        Refused("spec.shares[0].owner", "cannot be changed or added"),
    ),
    update(
        "a share, a user and a group can leave the spec",
        WHOLE,
        "storage: {metadataSize: 10Gi, contentSize: 100Gi}",
        Accepted,
    ),
    update(
        "the remote store of a share cannot change",
        OVER_S3,
        "{storage: {metadataSize: 10Gi, contentSize: 100Gi}, remoteStores: [{name: cold, s3: {bucket: files, credentialsSecretRef: {name: s3}}}, {name: other, s3: {bucket: b, credentialsSecretRef: {name: s3}}}], shares: [{name: export, remoteStore: other}]}",
        Refused("spec.shares[0].remoteStore", "cannot change or be removed"),
    ),
    update(
        "the bucket of a store cannot change",
        OVER_S3,
        "{storage: {metadataSize: 10Gi, contentSize: 100Gi}, remoteStores: [{name: cold, s3: {bucket: elsewhere, credentialsSecretRef: {name: s3}}}, {name: other, s3: {bucket: b, credentialsSecretRef: {name: s3}}}], shares: [{name: export, remoteStore: cold}]}",
        Refused("spec.remoteStores[0].s3.bucket", "cannot change"),
    ),
    update(
        "a remote store can be added to a share later",
        "{storage: {metadataSize: 10Gi, contentSize: 100Gi}, remoteStores: [{name: cold, s3: {bucket: files, credentialsSecretRef: {name: s3}}}], shares: [{name: export}]}",
        "{storage: {metadataSize: 10Gi, contentSize: 100Gi}, remoteStores: [{name: cold, s3: {bucket: files, credentialsSecretRef: {name: s3}}}], shares: [{name: export, remoteStore: cold}]}",
        Accepted,
    ),
];
