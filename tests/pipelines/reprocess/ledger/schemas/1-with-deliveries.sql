BEGIN TRANSACTION;
CREATE TABLE attempts (
	"key" VARCHAR(64) NOT NULL, 
	token BIGINT NOT NULL, 
	owner VARCHAR(160) NOT NULL, 
	started VARCHAR(32) NOT NULL, 
	ended VARCHAR(32), 
	outcome VARCHAR(12), 
	code VARCHAR(64), 
	PRIMARY KEY ("key", token), 
	FOREIGN KEY("key") REFERENCES jobs ("key")
);
INSERT INTO "attempts" VALUES('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',1,'o:1:2:3','2026-11-20',NULL,'done',NULL);
CREATE TABLE deliveries (
	"key" VARCHAR(64) NOT NULL, 
	kind VARCHAR(8) NOT NULL, 
	target VARCHAR(256) NOT NULL, 
	state VARCHAR(12) NOT NULL, 
	reason VARCHAR(256), 
	changed VARCHAR(32) NOT NULL, 
	PRIMARY KEY ("key", kind, target), 
	FOREIGN KEY("key") REFERENCES jobs ("key")
);
CREATE TABLE files (
	path VARCHAR(64) NOT NULL, 
	size BIGINT NOT NULL, 
	mtime_ns BIGINT NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	PRIMARY KEY (path)
);
CREATE TABLE found (
	source VARCHAR(64) NOT NULL, 
	"key" VARCHAR(64) NOT NULL, 
	PRIMARY KEY (source, "key"), 
	FOREIGN KEY("key") REFERENCES jobs ("key")
);
CREATE TABLE jobs (
	"key" VARCHAR(64) NOT NULL, 
	name VARCHAR(32) NOT NULL, 
	input VARCHAR(64) NOT NULL, 
	kind VARCHAR(8) NOT NULL, 
	bundle VARCHAR(128) NOT NULL, 
	version VARCHAR(32) NOT NULL, 
	weights VARCHAR(64) NOT NULL, 
	configuration VARCHAR(64) NOT NULL, 
	state VARCHAR(12) NOT NULL, 
	attempts INTEGER NOT NULL, 
	token BIGINT NOT NULL, 
	owner VARCHAR(160), 
	beat BIGINT NOT NULL, 
	code VARCHAR(64), 
	reason VARCHAR(512), 
	changed VARCHAR(32) NOT NULL, 
	seconds FLOAT, 
	timings JSON, 
	score FLOAT, 
	p_value FLOAT, 
	abnormal BOOLEAN, 
	lesions INTEGER, 
	volume_ml FLOAT, 
	flags JSON, 
	outputs JSON, 
	PRIMARY KEY ("key")
);
INSERT INTO "jobs" VALUES('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','a','iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii','nifti','b','1','w','c','done',1,1,NULL,0,NULL,NULL,'2026-11-20',NULL,NULL,0.5,NULL,NULL,NULL,NULL,'[]','{"mask": "a_mask.nii.gz"}');
INSERT INTO "jobs" VALUES('bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','b','iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii','nifti','b','1','w','c','quarantined',0,1,NULL,0,'MISSING_SLICES','slices are missing within the volume','2026-11-20',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE settings (
	name VARCHAR(32) NOT NULL, 
	value VARCHAR(128), 
	PRIMARY KEY (name)
);
INSERT INTO "settings" VALUES('schema','1');
CREATE TABLE sources (
	source VARCHAR(64) NOT NULL, 
	snapshot VARCHAR(64) NOT NULL, 
	skipped JSON NOT NULL, 
	PRIMARY KEY (source)
);
CREATE INDEX ix_jobs_state ON jobs (state);
CREATE INDEX ix_found_key ON found ("key");
COMMIT;
