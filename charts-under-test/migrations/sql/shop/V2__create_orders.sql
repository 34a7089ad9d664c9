CREATE TABLE orders (
  id integer PRIMARY KEY,
  customer integer NOT NULL REFERENCES customers (id),
  placed_on date NOT NULL
);
INSERT INTO orders (id, customer, placed_on) VALUES (1, 1, '2026-11-01');
