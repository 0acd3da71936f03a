module seclude.example/run

go 1.19
