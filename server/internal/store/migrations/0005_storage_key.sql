-- +goose Up
-- The keys of a deployment's encrypted volumes, sealed: a JSON object of name to key.
ALTER TABLE deployment ADD COLUMN storage_keys BLOB;

-- +goose Down
SELECT 1;
