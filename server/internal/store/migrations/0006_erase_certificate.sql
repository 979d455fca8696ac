-- +goose Up
-- Certificates name their machine without a reference: they outlive it.
CREATE TABLE erase_certificate (
  id         TEXT PRIMARY KEY,
  machine_id TEXT NOT NULL,
  doc        TEXT NOT NULL
) STRICT;
CREATE INDEX erase_certificate_machine ON erase_certificate (machine_id, id);

-- +goose Down
SELECT 1;
