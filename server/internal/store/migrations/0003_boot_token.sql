-- +goose Up
-- Boot tokens that were used. They outlive the session that they began, which another boot may have ended since: a
-- token works for one boot alone.
CREATE TABLE boot_token (
  nonce      TEXT PRIMARY KEY,
  boot_id    TEXT NOT NULL,
  machine_id TEXT NOT NULL,
  used_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX boot_token_used ON boot_token (used_at);
INSERT INTO boot_token (nonce, boot_id, machine_id, used_at) SELECT nonce, boot_id, machine_id, begun_at FROM boot_session;

-- +goose Down
SELECT 1;
