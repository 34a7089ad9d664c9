-- What was paid, in cents.
CREATE TABLE entries (
  id integer PRIMARY KEY,
  amount bigint NOT NULL
);
