"""GitHub, by way of PyGithub's requests: REST and GraphQL of one repository."""
