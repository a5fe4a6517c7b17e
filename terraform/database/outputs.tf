output "endpoint" {
  description = "Host and port"
  value       = aws_db_instance.platform.endpoint
}

output "secret_arn" {
  description = "The secret that holds the password of the user openclaw"
  value       = aws_secretsmanager_secret.database.arn
}
