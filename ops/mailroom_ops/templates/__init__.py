"""Templates at development time: previews, quality checks, and the import of Logto's templates."""
