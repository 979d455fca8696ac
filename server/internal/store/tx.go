package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mattn/go-sqlite3"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Tx is one transaction. Now is its time: everything it writes bears that one.
type Tx struct {
	ctx     context.Context
	tx      *sql.Tx
	db      *DB
	Now     time.Time
	changes []Change
}

// Statements are written with $1, $2 as PostgreSQL has them; go-sqlite3 binds those by first appearance, so they
// become ?1, ?2.
func placeholders(statement string) string { return strings.ReplaceAll(statement, "$", "?") }

func (tx *Tx) exec(what, statement string, args ...any) (int64, error) {
	res, err := tx.tx.ExecContext(tx.ctx, placeholders(statement), args...)
	if err != nil {
		return 0, translate(what, err)
	}
	n, err := res.RowsAffected()
	return n, translate(what, err)
}

// one scans the first row; no row is metal.NotFound with what in its message.
func (tx *Tx) one(what, statement string, args []any, into ...any) error {
	err := tx.tx.QueryRowContext(tx.ctx, placeholders(statement), args...).Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return metal.Errorf(metal.NotFound, "there is no %s", what)
	}
	return translate(what, err)
}

// document reads one document by statement.
func document[T any](tx *Tx, what, statement string, args ...any) (*T, error) {
	var text string
	if err := tx.one(what, statement, args, &text); err != nil {
		return nil, err
	}
	doc := new(T)
	if err := json.Unmarshal([]byte(text), doc); err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	return doc, nil
}

// documents reads the documents of all rows.
func documents[T any](tx *Tx, what, statement string, args ...any) ([]T, error) {
	rows, err := tx.tx.QueryContext(tx.ctx, placeholders(statement), args...)
	if err != nil {
		return nil, translate(what, err)
	}
	defer rows.Close()
	list := []T{}
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, translate(what, err)
		}
		var doc T
		if err := json.Unmarshal([]byte(text), &doc); err != nil {
			return nil, fmt.Errorf("read %s: %w", what, err)
		}
		list = append(list, doc)
	}
	return list, translate(what, rows.Err())
}

func encode(doc any) (string, error) {
	text, err := json.Marshal(doc)
	return string(text), err
}

// inList returns "($n, $n+1, ...)" for values, and the values as arguments. An empty list matches nothing.
func inList(first int, values []string) (string, []any) {
	if len(values) == 0 {
		return "(NULL)", nil
	}
	marks := make([]string, len(values))
	args := make([]any, len(values))
	for i, v := range values {
		marks[i] = fmt.Sprintf("$%d", first+i)
		args[i] = v
	}
	return "(" + strings.Join(marks, ",") + ")", args
}

// A page of a list: documents whose key is above after, at most limit (500 when zero).
func pageOf[T any](tx *Tx, table, key, after string, limit int, only []string) ([]T, error) {
	if limit <= 0 {
		limit = 500
	}
	if only != nil {
		marks, args := inList(1, only)
		return documents[T](tx, "list of "+table, "SELECT doc FROM "+table+" WHERE "+key+" IN "+marks+" ORDER BY "+key, args...)
	}
	return documents[T](tx, "list of "+table, "SELECT doc FROM "+table+" WHERE "+key+" > $1 ORDER BY "+key+" LIMIT $2", after, limit)
}

// translate turns what SQLite says into the domain's errors, by code and never by text.
func translate(what string, err error) error {
	if err == nil {
		return nil
	}
	var e sqlite3.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("%s: %w", what, err)
	}
	switch {
	case e.ExtendedCode == sqlite3.ErrConstraintUnique, e.ExtendedCode == sqlite3.ErrConstraintPrimaryKey:
		return &metal.Error{Code: metal.Conflict, Message: what + ": there is one already", Err: err}
	case e.ExtendedCode == sqlite3.ErrConstraintForeignKey:
		return &metal.Error{Code: metal.Conflict, Message: what + ": it is in use, or what it names does not exist", Err: err}
	case e.Code == sqlite3.ErrFull:
		return &metal.Error{Code: metal.Exhausted, Message: what + ": the disk of the database is full; nothing was changed", Err: err}
	}
	return fmt.Errorf("%s: %w", what, err)
}
