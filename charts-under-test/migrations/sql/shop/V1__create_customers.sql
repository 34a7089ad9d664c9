-- The people who use the shop.
CREATE TABLE customers (
  id integer PRIMARY KEY,
  name text NOT NULL
);
