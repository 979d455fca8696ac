terraform import metal_dns_record.www shop.example.net/www/A
