-- SPDX-License-Identifier: LGPL-2.1-or-later
-- A store of schema 2, as banger 0.2 wrote it.
BEGIN TRANSACTION;
CREATE TABLE images (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, owner_uid INTEGER NOT NULL, shared INTEGER NOT NULL DEFAULT 0, state TEXT NOT NULL, release TEXT NOT NULL DEFAULT '', digest TEXT NOT NULL DEFAULT '', size_bytes INTEGER NOT NULL DEFAULT 0, allocated_bytes INTEGER NOT NULL DEFAULT 0, created_at INTEGER NOT NULL, defaults TEXT NOT NULL DEFAULT '') STRICT;
INSERT INTO "images" VALUES('imageaaaaa22','debian',1000,1,'ready','','sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',612368384,401408000,1700000000,'{''user'': <''app''>}');
INSERT INTO "images" VALUES('imageaaaaa33','other',1001,0,'importing','','',0,0,1700000001,'');
CREATE TABLE intents (  id INTEGER PRIMARY KEY, job_id TEXT NOT NULL, kind TEXT NOT NULL,  object_id TEXT NOT NULL, detail TEXT NOT NULL DEFAULT '',  UNIQUE (kind, object_id)) STRICT;
INSERT INTO "intents" VALUES(1,'jobjobjobjo2','image-dir','imageaaaaa33','');
INSERT INTO "intents" VALUES(2,'jobjobjobjo3','monitor','vmvmvmvmvm22','');
CREATE TABLE jobs (  id TEXT PRIMARY KEY, kind TEXT NOT NULL, object_kind TEXT NOT NULL,  object_id TEXT NOT NULL, state TEXT NOT NULL, stage TEXT NOT NULL DEFAULT '',  started_by INTEGER NOT NULL, started_at INTEGER NOT NULL) STRICT;
INSERT INTO "jobs" VALUES('jobjobjobjo2','import-image','image','imageaaaaa33','running','writing',1001,1700000001);
CREATE TABLE kernels (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, owner_uid INTEGER NOT NULL, shared INTEGER NOT NULL DEFAULT 0, state TEXT NOT NULL, release TEXT NOT NULL DEFAULT '', digest TEXT NOT NULL DEFAULT '', size_bytes INTEGER NOT NULL DEFAULT 0, allocated_bytes INTEGER NOT NULL DEFAULT 0, created_at INTEGER NOT NULL, defaults TEXT NOT NULL DEFAULT '') STRICT;
INSERT INTO "kernels" VALUES('kernelaaaa22','cloud',1000,1,'ready','6.1.0-30-cloud-amd64','sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',612368384,401408000,1700000000,'');
INSERT INTO "kernels" VALUES('kernelaaaa33','other',1001,0,'importing','','',0,0,1700000001,'');
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
INSERT INTO "settings" VALUES('default-image','imageaaaaa22');
CREATE TABLE vm_labels (  vm_id TEXT NOT NULL REFERENCES vms (id) ON DELETE CASCADE,  key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (vm_id, key)) STRICT;
INSERT INTO "vm_labels" VALUES('vmvmvmvmvm22','tier','façade');
INSERT INTO "vm_labels" VALUES('vmvmvmvmvm22','team','it''s "ours"');
CREATE TABLE vms (  id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, owner_uid INTEGER NOT NULL,  state TEXT NOT NULL,  image_id TEXT NOT NULL REFERENCES images (id),  kernel_id TEXT NOT NULL REFERENCES kernels (id),  backend TEXT NOT NULL, vcpus INTEGER NOT NULL, memory_bytes INTEGER NOT NULL,  disk_bytes INTEGER NOT NULL, work_bytes INTEGER NOT NULL,  created_at INTEGER NOT NULL, started_at INTEGER NOT NULL DEFAULT 0,  failure_name TEXT, failure_message TEXT, failure_stage TEXT, failure_cause TEXT,  failure_hint TEXT, failed_at INTEGER NOT NULL DEFAULT 0, root TEXT NOT NULL DEFAULT 'overlay', network TEXT NOT NULL DEFAULT 'none', published TEXT NOT NULL DEFAULT '', restart TEXT NOT NULL DEFAULT 'never', restarts INTEGER NOT NULL DEFAULT 0, next_start_at INTEGER NOT NULL DEFAULT 0, autostart INTEGER NOT NULL DEFAULT 0, pending TEXT NOT NULL DEFAULT '', last_exit TEXT NOT NULL DEFAULT '') STRICT;
INSERT INTO "vms" VALUES('vmvmvmvmvm22','web',1000,'running','imageaaaaa22','kernelaaaa22','qemu',1,536870912,4294967296,8589934592,1700000100,1700000200,NULL,NULL,NULL,NULL,NULL,0,'overlay','none','','never',0,0,0,'','');
INSERT INTO "vms" VALUES('vmvmvmvmvm32','db',1001,'failed','imageaaaaa22','kernelaaaa22','qemu',2,1073741824,4294967296,8589934592,1700000101,1700000200,'org.banger.Banger1.Error.HostNotReady','vm ''db'': cannot start','vmm','it is not installed','apt install qemu-system-x86',1700000300,'clone','user','127.0.0.1:8080:80','always',2,0,1,'vcpus','panic');
INSERT INTO "vms" VALUES('vmvmvmvmvm42','it-s-old',1002,'stopped','imageaaaaa22','kernelaaaa22','qemu',3,1610612736,4294967296,8589934592,1700000102,0,NULL,NULL,NULL,NULL,NULL,0,'overlay','none','','never',0,0,0,'','');
CREATE INDEX vms_image ON vms (image_id);
CREATE INDEX vms_kernel ON vms (kernel_id);
COMMIT;
PRAGMA user_version = 2;
