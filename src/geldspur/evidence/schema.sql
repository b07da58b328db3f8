-- The database of one scan. One process writes; each change of rows and its log record are one transaction.

CREATE TABLE about (            -- what was scanned with what: schema, tool, source, source_kind, options
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO about VALUES ('schema', '1');

CREATE TABLE entry (            -- everything found, one row a name; files = rows of kind 'file', 'symlink', 'special'
  id INTEGER PRIMARY KEY,       -- in order of finding; outputs are ordered by path and ordinal, never by id
  parent INTEGER REFERENCES entry (id),  -- the archive that holds it; NULL outside archives
  path BLOB NOT NULL,           -- bytes below the source, '/' between folders; members of archives as outer!inner
  ordinal INTEGER NOT NULL DEFAULT 0,    -- the n-th entry of this very path (archives and deleted files repeat names)
  kind TEXT NOT NULL CHECK (kind IN ('file', 'directory', 'symlink', 'special')),
  place TEXT NOT NULL DEFAULT '{}',      -- JSON: how the source finds its bytes again, where the path does not say it
  size INTEGER,                 -- bytes
  allocated INTEGER,            -- bytes on disk; below size: a sparse file
  device INTEGER, inode INTEGER, links INTEGER,
  born_ns INTEGER, modified_ns INTEGER, accessed_ns INTEGER, changed_ns INTEGER,  -- UTC, nanoseconds since 1970
  times_from TEXT,              -- 'statx', 'zip', 'tar', 'tsk:ext4' …: who recorded the times
  deleted INTEGER NOT NULL DEFAULT 0,    -- 1: unallocated in its file system, may be overwritten
  state TEXT NOT NULL DEFAULT 'found'    -- 'found': not read yet; 'listed': a directory whose entries are rows
    CHECK (state IN ('found', 'hashed', 'unreadable', 'skipped', 'listed')),
  reason TEXT,                  -- a code of evidence/reasons.py for unreadable and skipped
  detail TEXT,                  -- what happened, in words
  errno INTEGER, error_offset INTEGER,   -- of the first bad read
  content INTEGER REFERENCES content (id),
  members TEXT CHECK (members IN ('pending', 'listed', 'refused')),  -- an archive: are its members rows yet? NULL: none
  UNIQUE (path, ordinal)
) STRICT;
CREATE INDEX entry_content ON entry (content);
CREATE INDEX entry_inode ON entry (device, inode) WHERE links > 1;
CREATE INDEX entry_parent ON entry (parent) WHERE parent IS NOT NULL;

CREATE TABLE content (          -- each distinct sequence of bytes once
  id INTEGER PRIMARY KEY,
  size INTEGER NOT NULL,
  md5 BLOB NOT NULL, sha1 BLOB NOT NULL, sha256 BLOB NOT NULL, blake3 BLOB NOT NULL,
  media TEXT NOT NULL DEFAULT 'pending'  -- 'pending', 'image', 'video', 'other' (no media), 'failed', 'skipped'
    CHECK (media IN ('pending', 'image', 'video', 'other', 'failed', 'skipped')),
  media_reason TEXT, media_detail TEXT,  -- a code of evidence/reasons.py, and words
  deep TEXT CHECK (deep IN ('second', 'frame', 'failed')),  -- the densest sampling done beyond keyframes
  UNIQUE (sha256, size)
) STRICT;
CREATE INDEX content_pending ON content (id) WHERE media = 'pending';

CREATE TABLE media (            -- what the container says of an image or a video
  content INTEGER PRIMARY KEY REFERENCES content (id),
  format TEXT NOT NULL, codec TEXT NOT NULL,
  width INTEGER NOT NULL, height INTEGER NOT NULL,
  duration_ms INTEGER,          -- NULL for images and where the container does not tell
  keyframes INTEGER NOT NULL,   -- decoded
  bad_packets INTEGER NOT NULL  -- packets that could not be decoded
) STRICT;

CREATE TABLE frame (            -- perceptual fingerprints (PDQ, 32 bytes); images have one frame at 0 ms
  content INTEGER NOT NULL REFERENCES content (id),
  stage TEXT NOT NULL CHECK (stage IN ('keyframe', 'second', 'frame')),
  at_ms INTEGER NOT NULL,
  quality INTEGER NOT NULL,     -- 0 to 100; below 50 is not searched
  plain BLOB NOT NULL, mirrored BLOB NOT NULL,
  cropped BLOB, cropped_mirrored BLOB,   -- without its dark bars, where it has some
  PRIMARY KEY (content, stage, at_ms)
) STRICT, WITHOUT ROWID;

CREATE TABLE hash_list (        -- each list that contents were compared with
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  file_name TEXT NOT NULL,
  sha256 BLOB NOT NULL UNIQUE,  -- of the list's file
  format TEXT NOT NULL,         -- 'vics-2.0', 'caid', 'nsrl-rds-3', 'plain' …
  version TEXT, made TEXT,      -- as the list says itself
  scheme TEXT,                  -- whose category numbers these are: 'US', 'UK' …
  kind TEXT NOT NULL CHECK (kind IN ('material', 'benign')),  -- NSRL and other known-harmless files are 'benign'
  entries INTEGER NOT NULL,
  md5s INTEGER NOT NULL, sha1s INTEGER NOT NULL, sha256s INTEGER NOT NULL, pdqs INTEGER NOT NULL,
  unmatchable TEXT NOT NULL     -- JSON: entries that hold only fingerprints that can't be compared here, by kind
) STRICT;

CREATE TABLE hit (
  content INTEGER NOT NULL REFERENCES content (id),
  list INTEGER NOT NULL REFERENCES hash_list (id),
  method TEXT NOT NULL CHECK (method IN ('md5', 'sha1', 'sha256', 'pdq')),
  row INTEGER NOT NULL,         -- the entry's number in the list, from 0
  category TEXT,                -- as in the list; read with the list's scheme
  -- of near matches (pdq) only: how many of the content's searchable frames match this entry, and the nearest pair
  frames INTEGER, of_frames INTEGER, distance INTEGER, quality INTEGER,
  variant TEXT CHECK (variant IN ('plain', 'mirrored', 'cropped', 'cropped_mirrored')),
  PRIMARY KEY (content, list, method, row)
) STRICT, WITHOUT ROWID;

CREATE VIEW statement AS        -- each hit with what its list says of the entry: 'material' or 'benign'
SELECT hit.*, CASE
  WHEN hash_list.kind = 'benign' THEN 'benign'
  WHEN upper(hash_list.scheme) = 'US' AND hit.category = '0' THEN 'benign'  -- "non-pertinent" in that scheme
  ELSE 'material'               -- numbers of other schemes are printed and not interpreted
END AS says
FROM hit JOIN hash_list ON hash_list.id = hit.list;

CREATE TABLE cluster (          -- visually alike contents of this scan; every image and video with a searchable frame
  content INTEGER PRIMARY KEY REFERENCES content (id),
  cluster INTEGER NOT NULL      -- the content of the lowest sha256 in it
) STRICT, WITHOUT ROWID;

CREATE TABLE method_error (     -- what a method gets wrong, measured with this scan's own frames and thresholds
  method TEXT NOT NULL,
  trial TEXT NOT NULL,          -- 'decoy' (lists of unrelated hashes) or 'spike: EDIT' (made clips, edited)
  tried INTEGER NOT NULL, wrong INTEGER NOT NULL,  -- decoy: contents compared, contents matched; spike: clips, missed
  detail TEXT NOT NULL,         -- JSON: seed, sizes, threshold
  PRIMARY KEY (method, trial)
) STRICT, WITHOUT ROWID;

CREATE TABLE log (              -- hash = SHA-256(previous hash + event); event is canonical JSON with seq and time
  seq INTEGER PRIMARY KEY,      -- from 1, no gaps
  event TEXT NOT NULL,
  hash BLOB NOT NULL
) STRICT;
